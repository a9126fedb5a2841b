"""Invented patients whose names are words of headers, and whose identifiers are short: what a reader could mistake."""

from __future__ import annotations

from random import Random

from node.leaks import Collected, What

_WORDS = """
Head Long Li May Young White Black Brown Green Gray King Price Stone Wood Field Winter Summer March April June August
Short Little Strong Best Good Day Night Hall Hand Foot Arm Leg Back Neck Bone Chest Heart Brain Spine Hip Left Right
Ray Coil Phase Slice Scan Echo Flair Dixon Vibe Bravo Klein Gross Lang Kurz Schwarz Weiss Braun Jung Alt Kopf Hals
Herz Bein Bauch Petit Grand Blanc Noir Rouge Bon Roi Mano Cabeza Cruz Rey Blanco Rosa Santos Prior Post Pilot Scout
Sharp Soft Ramp Cine Stack Axial Coronal Wu Ng Kim Lee Park Chen Ho Ha Ma An Do Le Tse Ge Philips Siemens Canon Logan
Original Primary Standard Normal Dynamic Angle Flip Time Rose Art Gene Guy Bill Mark Frank Grace Faith Hope Joy Dawn
Eve Iris
"""
WORDS = _WORDS.split()
_SURNAMES = """
Smith Johnson Miller Garcia Rodriguez Müller Schmidt Schneider Fischer Weber Wagner Becker Hoffmann Dubois Moreau
Lefevre Rossi Ferrari Nguyen Tran Ivanov Petrov Kowalski Nowak Andersson Larsen Papadopoulos Yilmaz Özdemir Hernandez
Lopez O'Brien MacDonald Schulze Kuhn Simon Baker Cook Carter Turner Bell Murphy Cohen Levy Khan Ali Hassan Ahmed Patel
Singh Kumar Sharma Tanaka Suzuki Yamada Sato Shepp Hounsfield Hamming Butterworth Gibbs Larmor Bloch Hahn Ernst Parks
Butler
"""
SURNAMES = _SURNAMES.split()
_GIVEN = """
Mary John Anna Maria Peter Paul Michael James Robert Linda Barbara David Richard Susan Joseph Thomas Hans Karl Jürgen
Ursula Pierre Marie Jean Luis Carmen José Ana Wei Ming Yuki Hiroshi Olga Ivan Art Gene Rose Grace May June April Dawn
Mark Bill Frank Ray Guy Iris Joy Al Ed Jo Max Tim
"""
GIVEN = _GIVEN.split()
HOSPITALS = (
    "General Hospital", "St. Mary's Hospital", "Universitätsklinikum Freiburg", "Charité", "Mayo Clinic",
    "CHU de Lille", "Hospital Clinic Barcelona", "Stanford University", "MGH", "UCLA Medical Center",
    "City MRI Center", "Praxis Dr. Lang", "Head and Neck Institute", "Boston Children's Hospital",
    "Klinik am Park", "Siemens Hospital", "Radiologie Mitte",
)  # fmt: skip
STREETS = ("Main Street", "Park Road", "High Street", "Hauptstr.", "Rue du Bois")
TOWNS = ("Boston", "Freiburg", "Leiden", "Paris", "Head")
STATIONS = ("AXIS01", "MR1", "CT01", "AWP45557")


def invented(seed: int) -> Collected:
    """What would be collected of one patient; two in three have a word for a surname, one in seven two words."""
    choose = Random(seed)
    number = choose.randint
    surname = choose.choice(SURNAMES if seed % 3 == 2 else WORDS)
    given = choose.choice(WORDS if seed % 7 == 0 else GIVEN)
    middle = choose.choice(("", "", f"^{choose.choice('ABCDEFGHIJKLMNOPQRSTUVWXYZ')}", f"^{choose.choice(GIVEN)}"))
    name = f"{surname}^{given}{middle}"
    patient = choose.choice(
        (f"{number(1, 999)}", f"{number(1000, 99999)}", f"{number(0, 9999999):07d}", f"MRN{number(1, 10**6)}",
         f"{choose.choice('ABCXYZ')}{number(1, 10**5)}", f"{number(1, 99)}-{number(1, 999)}-{number(1, 9999)}",
         f"P{number(1, 99)}")
    )  # fmt: skip
    accession = choose.choice(
        (f"{number(1, 10**8)}", f"ACC{number(1, 10**4)}", f"CT{number(1, 999)}", f"{number(1, 200)}")
    )
    study = choose.choice((f"{number(1, 9999)}", "1", f"S{number(1, 999)}", "HEAD"))
    day = number(2000, 2025), number(1, 12), number(1, 28)
    operator = choose.choice((choose.choice(WORDS)[:2].upper(), choose.choice(SURNAMES), choose.choice(GIVEN)))
    return Collected(
        names=frozenset(
            {
                (What.PATIENT, name.upper() if seed % 5 == 0 else name),
                (What.PERSON, f"{choose.choice(SURNAMES + WORDS)}^{choose.choice(GIVEN)}^^Dr."),
                (What.PERSON, operator),
            }
        ),
        identifiers=frozenset(
            {(What.ID, patient), (What.ID, accession), (What.ID, study)}
            | {(What.DEVICE, choose.choice((*STATIONS, f"{number(1, 99999)}"))), (What.DEVICE, f"{number(1, 10**6)}")}
        ),
        phones=frozenset({f"+49 {number(30, 999)} {number(10**5, 10**7)}"}),
        phrases=frozenset(
            {
                (What.INSTITUTION, choose.choice(HOSPITALS)),
                (What.CONTACT, f"{number(1, 200)} {choose.choice(STREETS)}, {choose.choice(TOWNS)}"),
            }
        ),
        dates=frozenset({(What.BIRTH, (number(1925, 2019), number(1, 12), number(1, 28))), (What.DATE, day)}),
        uids=frozenset(f"1.3.12.2.1107.5.2.{number(1, 99)}.{number(10**20, 10**21)}" for _ in range(5)),
        charsets=frozenset({"ISO_IR 100"}),
    )
