"""What Alibaba Cloud's APIs have in common here: signatures, parameters, answers, and which API a call is for."""
