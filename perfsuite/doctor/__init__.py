"""What about a host makes times unrepeatable, and what mends it: facts are read, checks are functions over them."""

from perfsuite.doctor.diagnosis import diagnose
from perfsuite.doctor.facts import read_facts
from perfsuite.doctor.model import STATUSES, Diagnosis, Facts, Finding, OpenMP, Software, Status, Unread
from perfsuite.doctor.openmp import loaded_runtimes
from perfsuite.doctor.software import gather_software

__all__ = [
    "STATUSES",
    "Diagnosis",
    "Facts",
    "Finding",
    "OpenMP",
    "Software",
    "Status",
    "Unread",
    "diagnose",
    "gather_software",
    "loaded_runtimes",
    "read_facts",
]
