"""Makes the small databases of the tests, in each schema that is understood: python make.py [FOLDER]

Needs mmdb-writer 0.2.7. What they say is made up. The addresses are those of AS112 and of AMT, which are public and
nobody's in particular.
"""

import pathlib
import sys

import mmdb_writer
from netaddr import IPSet

MADE_AT = 1_577_934_245  # 2020-01-02T03:04:05Z
FOLDER = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__ + "/..").resolve()

FIRST, FIRST_HALF, SECOND_HALF = "192.175.48.0/24", "192.175.48.0/25", "192.175.48.128/25"
SECOND = "192.31.196.0/24"
ODD = "192.52.193.0/24"
FIRST_V6, SECOND_V6 = "2620:4f:8000::/48", "2001:4:112::/48"

mmdb_writer.time.time = lambda: MADE_AT


def make(name, database_type, networks, ip_version=6, description="Made up", float_type="f64"):
    writer = mmdb_writer.MMDBWriter(
        ip_version=ip_version,
        ipv4_compatible=ip_version == 6,
        database_type=database_type,
        languages=["en"] if description else [],
        description={"en": description} if description else {},
        float_type=float_type,
    )
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(FOLDER / name))


def names(english, **others):
    return {"names": {"en": english, **others}}


def country(code, english):
    return {"country": {"geoname_id": 1, "iso_code": code, **names(english)}, "continent": {"code": "EU", **names("Europe")}}


PRAGUE = {
    "city": {"geoname_id": 2, **names("Prague", cs="Praha")},
    **country("CZ", "Czechia"),
    "location": {"accuracy_radius": 5, "latitude": 50.0755, "longitude": 14.4378, "time_zone": "Europe/Prague"},
    "postal": {"code": "110 00"},
    "registered_country": {"iso_code": "US", **names("United States")},
    "subdivisions": [{"iso_code": "10", **names("Hlavni mesto Praha")}, {"iso_code": "101", **names("Praha 1")}],
}
NO_PLACE = {**country("SK", "Slovakia"), "location": {"latitude": 48.7, "time_zone": "Europe/Bratislava"}}
ODD_TYPES = {
    "city": 7,
    "country": [],
    "location": "somewhere",
    "subdivisions": {"names": ["A", {"en": "B"}]},
    "country_code": "PL",
    "latitude": True,
    "timezone": b"Europe/Warsaw",
    "asn": -7,
    "autonomous_system_number": 2**100,
    "autonomous_system_organization": "Odd\x07",
}

make("city.mmdb", "GeoLite2-City", {FIRST_HALF: PRAGUE, SECOND_HALF: NO_PLACE, ODD: ODD_TYPES, FIRST_V6: PRAGUE})
make("country.mmdb", "GeoLite2-Country", {FIRST: country("DE", "Germany"), SECOND: country("AT", "Austria")})
make(
    "asn.mmdb",
    "GeoLite2-ASN",
    {
        FIRST: {"autonomous_system_number": 64500, "autonomous_system_organization": "Example Networks"},
        SECOND: {"autonomous_system_number": 16509, "autonomous_system_organization": "Example Cloud"},
        FIRST_V6: {"autonomous_system_number": 4200000000},
    },
)
make(
    "anonymous-ip.mmdb",
    "GeoIP2-Anonymous-IP",
    {
        FIRST_HALF: {"is_anonymous": True, "is_anonymous_vpn": True},
        SECOND_HALF: {"is_anonymous": True, "is_tor_exit_node": True, "is_hosting_provider": True},
        SECOND: {"is_anonymous": True, "is_public_proxy": False, "is_residential_proxy": True},
        FIRST_V6: {"is_anonymous": True},
    },
)
make(
    "dbip-city-lite.mmdb",
    "DBIP-City-Lite",
    {
        FIRST: {
            "city": names("Brno (Veveří)"),
            **country("CZ", "Czechia"),
            "location": {"latitude": 49.2, "longitude": 16.6},
            "subdivisions": [names("South Moravian")],
        }
    },
)
make(
    "ipinfo-lite.mmdb",
    "ipinfo ipinfo_lite.mmdb",
    {
        FIRST: {
            "as_domain": "example.com",
            "as_name": "Example Networks",
            "asn": "AS64500",
            "continent": "Europe",
            "continent_code": "EU",
            "country": "Czechia",
            "country_code": "CZ",
        },
        FIRST_V6: {"asn": "64500", "country": "Austria", "country_code": ""},
    },
)
FLAT = {"city": "Brno", "country_code": "CZ", "postcode": "602 00", "state1": "South Moravian", "state2": ""}
FLAT_V6 = {"city": "", "country_code": "AT", "postcode": "", "state1": "", "state2": ""}
make(
    "flat-city-ipv4.mmdb",
    "city ipv4",
    {FIRST: {**FLAT, "latitude": 49.1951, "longitude": 16.6068, "timezone": "Europe/Prague"}},
    ip_version=4,
    description="",
    float_type="f32",
)
make(
    "flat-city-ipv6.mmdb",
    "city ipv6",
    {FIRST_V6: {**FLAT_V6, "latitude": 48.2082, "longitude": 16.3738, "timezone": "Europe/Vienna"}},
    description="",
    float_type="f32",
)
make("nothing.mmdb", "Example-Prices", {SECOND_V6: {"price": 7}})
