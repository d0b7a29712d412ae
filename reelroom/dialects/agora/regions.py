"""Agora's storage vendors and their region numbers as each provider's own region names. Holds no options.

Source: sections 3.2.1 and 3.2.2; the order of a list is the number. Legacy vendors and regions are kept, because
clients written against older editions still send them.
"""

from __future__ import annotations

QINIU, S3, OSS, COS, KS3, AZURE, GCS, OBS, BOS, S3_COMPATIBLE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 11

_S3 = (
    "us-east-1 us-east-2 us-west-1 us-west-2 eu-west-1 eu-west-2 eu-west-3 eu-central-1 ap-southeast-1 "
    "ap-southeast-2 ap-northeast-1 ap-northeast-2 sa-east-1 ca-central-1 ap-south-1 cn-north-1 cn-northwest-1 "
    "us-gov-west-1 af-south-1 ap-east-1 ap-northeast-3 eu-north-1 me-south-1 us-gov-east-1 ap-southeast-3 eu-south-1"
)
# Numbers 26 and 27 are printed as CN_Northeast_2 and CN_Southeast_7; the provider has these only as ap-.
_OSS = (
    "cn-hangzhou cn-shanghai cn-qingdao cn-beijing cn-zhangjiakou cn-huhehaote cn-shenzhen cn-hongkong us-west-1 "
    "us-east-1 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-5 ap-northeast-1 ap-south-1 eu-central-1 "
    "eu-west-1 eu-east-1 ap-southeast-6 cn-heyuan cn-guangzhou cn-chengdu cn-nanjing cn-fuzhou cn-wulanchabu "
    "ap-northeast-2 ap-southeast-7"
)
_COS = (
    "ap-beijing-1 ap-beijing ap-shanghai ap-guangzhou ap-chengdu ap-chongqing ap-shenzhen-fsi ap-shanghai-fsi "
    "ap-beijing-fsi ap-hongkong ap-singapore ap-mumbai ap-seoul ap-bangkok ap-tokyo na-siliconvalley na-ashburn "
    "na-toronto eu-frankfurt eu-moscow"
)
_OBS = (
    "cn-north-1 cn-north-4 cn-east-2 cn-east-3 cn-south-1 cn-southwest-2 ap-southeast-1 ap-southeast-2 "
    "ap-southeast-3 af-south-1 sa-argentina-1 sa-peru-1 na-mexico-1 sa-brazil-1 la-south-2 sa-chile-1"
)
_QINIU = "cn-east-1 cn-north-1 cn-south-1 us-north-1"
_KS3 = "cn-hangzhou cn-shanghai cn-qingdao cn-beijing cn-guangzhou cn-hk-1 jr-beijing jr-shanghai rus sgp"
_BOS = "bj bd su gz hkg sin fwh fsh"

REGIONS: dict[int, dict[int, str]] = {
    vendor: dict(enumerate(names.split()))
    for vendor, names in {
        QINIU: _QINIU,
        S3: _S3,
        OSS: _OSS,
        COS: _COS,
        KS3: _KS3,
        OBS: _OBS,
        BOS: _BOS,
    }.items()
}
REGIONS[S3][28] = "il-central-1"  # 26 and 27 are not documented

#: Their region number is not looked at (section 3.2).
WITHOUT_REGION = frozenset({AZURE, GCS, S3_COMPATIBLE})
VENDORS = frozenset(REGIONS) | WITHOUT_REGION


def region_name(vendor: int, region: int) -> str:
    """The provider's name of a region; "" for providers without; ValueError for a number Agora does not have."""
    if vendor not in VENDORS:
        raise ValueError(f"vendor {vendor} is unknown: one of {', '.join(map(str, sorted(VENDORS)))}")
    if vendor in WITHOUT_REGION:
        return ""
    if region not in REGIONS[vendor]:
        raise ValueError(f"region {region} is unknown for vendor {vendor}: {_ranges(REGIONS[vendor])}")
    return REGIONS[vendor][region]


def _ranges(known: dict[int, str]) -> str:
    numbers = sorted(known)
    first_hole = next((n for n in range(len(numbers)) if n not in known), len(numbers))
    tail = [str(n) for n in numbers if n >= first_hole]
    return f"0 to {first_hole - 1}" + (f" and {', '.join(tail)}" if tail else "")
