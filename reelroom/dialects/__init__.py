"""One folder per HTTP dialect, each translating a vendor to the domain and back. Holds no use cases."""
