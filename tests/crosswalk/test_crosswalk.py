"""A patient has one key and one name for ever: for every process, after every restart, whoever asked first."""

from __future__ import annotations

import pickle
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.crosswalk import Crosswalk, doors
from node.crosswalk.schema import about, patient
from node.errors import CannotSucceed, ConfigurationError, TryAgain
from node.secret import Keys, fingerprint, keys

SECRET, OTHER = b"a secret of thirty-two bytes or so", b"another secret of thirty-two bytes"


@pytest.fixture
def crosswalk(database_url: str, tmp_path: Path) -> Iterator[Crosswalk]:
    made = Crosswalk(url=database_url, data=tmp_path, keys=Keys(SECRET))
    made.prepare()
    yield made
    made.close()


def number(crosswalk: Crosswalk, patient_id: str, prefix: str = "SITE-", issuer: str = "", study: str = "") -> str:
    crosswalk.key(issuer, patient_id, study)
    return crosswalk.name(issuer, patient_id, study, f"number:{prefix}", None)


def test_numbers_are_given_in_turn_and_stay(crosswalk: Crosswalk) -> None:
    assert [number(crosswalk, one) for one in ("p", "q", "p", "r")] == [
        "SITE-0001", "SITE-0002", "SITE-0001", "SITE-0003",
    ]  # fmt: skip
    crosswalk.close()
    assert number(crosswalk, "q") == "SITE-0002"


def test_each_prefix_counts_for_itself_and_beyond_four_digits(crosswalk: Crosswalk) -> None:
    assert number(crosswalk, "p", "A-") == "A-0001"
    assert number(crosswalk, "q", "B-") == "B-0001"
    with crosswalk.doors.durable.begin() as connection:
        connection.execute(sa.text("UPDATE crosswalk_number SET last = 9999") if crosswalk.url == "sqlite"
                           else sa.text("UPDATE crosswalk.crosswalk_number SET last = 9999"))  # fmt: skip
    assert number(crosswalk, "q", "A-") == "A-10000"


def test_case_and_padding_make_no_other_patient_and_an_issuer_does(crosswalk: Crosswalk) -> None:
    assert number(crosswalk, "abc") == number(crosswalk, " ABC ")
    assert number(crosswalk, "abc", issuer="H1") != number(crosswalk, "abc", issuer="H2")
    assert number(crosswalk, "abc", issuer="H1 ") == number(crosswalk, "abc", issuer="h1")


def test_a_study_counts_only_without_a_patient_id(crosswalk: Crosswalk) -> None:
    assert number(crosswalk, "", study="1.2") != number(crosswalk, "", study="1.3")
    assert number(crosswalk, "p", study="1.2") == number(crosswalk, "p", study="1.3")


def test_a_proposed_name_is_kept_and_another_one_refused(crosswalk: Crosswalk) -> None:
    crosswalk.key("", "p", "")
    for _ in range(2):
        assert crosswalk.name("", "p", "", "table:t.csv", "P1") == "P1"
    with pytest.raises(CannotSucceed, match="another pseudonym for its patient"):
        crosswalk.name("", "p", "", "table:t.csv", "P2")
    assert crosswalk.name("", "p", "", "table:other", "P2") == "P2"


def test_a_table_of_an_older_program_which_was_told_by_its_path_counts(crosswalk: Crosswalk) -> None:
    crosswalk.key("", "p", "")
    crosswalk.name("", "p", "", "table:/srv/a.csv", "P1")
    with pytest.raises(CannotSucceed, match="another pseudonym for its patient"):
        crosswalk.name("", "p", "", "table", "P2")
    assert crosswalk.name("", "p", "", "table", "P1") == "P1"


def test_no_two_patients_share_a_name_whatever_scheme_it_is_of(crosswalk: Crosswalk) -> None:
    for one in ("p", "q", "r"):
        crosswalk.key("", one, "")
    crosswalk.name("", "p", "", "table:A", "site-0001")
    with pytest.raises(CannotSucceed, match="another patient's already"):
        crosswalk.name("", "q", "", "table:B", "SITE-0001")
    assert crosswalk.name("", "q", "", "number:SITE-", None) == "SITE-0002"
    assert crosswalk.name("", "p", "", "table:B", "site-0001") == "site-0001"
    with pytest.raises(CannotSucceed, match="another patient's already"):
        crosswalk.name("", "r", "", "table:B", "SITE-0002")


def test_two_patients_never_share_a_name(crosswalk: Crosswalk) -> None:
    for one in ("p", "q"):
        crosswalk.key("", one, "")
    crosswalk.name("", "p", "", "table:t.csv", "P1")
    with pytest.raises(CannotSucceed, match="another patient's already") as raised:
        crosswalk.name("", "q", "", "table:t.csv", "P1")
    assert "P1" not in str(raised.value)
    assert crosswalk.name("", "q", "", "table:t.csv", "P2") == "P2"


def test_many_that_ask_at_once_get_one_number_for_each_patient(crosswalk: Crosswalk) -> None:
    asked = [f"p{n % 7}" for n in range(70)]
    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(lambda one: number(crosswalk, one), asked))
    by_patient = {(one, name) for one, name in zip(asked, given, strict=True)}
    assert len(by_patient) == len({name for _, name in by_patient}) == 7


_ASK = (
    "import pickle, sys; crosswalk = pickle.loads(sys.stdin.buffer.read());"
    "[print(one, (crosswalk.key('', one, ''), crosswalk.name('', one, '', 'number:SITE-', None))[1], flush=True)"
    " for one in sys.argv[1].split(',')]"
)


def _process(crosswalk: Crosswalk, code: str, *arguments: str) -> subprocess.Popen[str]:
    made = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert made.stdin is not None
    made.stdin.buffer.write(pickle.dumps(crosswalk))
    made.stdin.close()
    return made


def test_processes_agree_and_no_number_is_given_twice(crosswalk: Crosswalk) -> None:
    ids = [",".join(f"p{n}" for n in range(20)), ",".join(f"p{n}" for n in range(19, -1, -1))]
    running = [_process(crosswalk, _ASK, one) for one in ids]
    answers = []
    for process in running:
        assert process.stdout is not None
        answers.append(dict(line.split() for line in process.stdout.read().splitlines()))
        process.stdout.close()
        assert process.wait(60) == 0
    assert answers[0] == answers[1]
    assert len(set(answers[0].values())) == 20


def test_a_number_that_was_used_before_a_kill_is_never_given_again(crosswalk: Crosswalk) -> None:
    process = _process(crosswalk, _ASK + ";import time; time.sleep(60)", "p")
    assert process.stdout is not None
    used = process.stdout.readline().split()[1]
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()
    assert number(crosswalk, "q") != used
    assert number(crosswalk, "p") == used


def test_the_key_is_the_one_of_the_first_time_whatever_is_in_use_now(crosswalk: Crosswalk) -> None:
    assert crosswalk.key("", "p", "") == SECRET
    turned = replace(crosswalk, keys=keys(OTHER, [SECRET]))
    with turned.doors.durable.begin() as connection:
        turned.begin_with(connection)
    turned.prepare()
    assert turned.key("", "p", "") == SECRET
    assert turned.key("", "q", "") == OTHER


def test_another_secret_is_refused_at_the_start(crosswalk: Crosswalk) -> None:
    with pytest.raises(ConfigurationError, match="crosswalk rotate"):
        replace(crosswalk, keys=Keys(OTHER)).prepare()
    with pytest.raises(ConfigurationError):
        replace(crosswalk, keys=keys(OTHER, [SECRET])).prepare()
    crosswalk.prepare()


def test_a_former_secret_that_is_missing_is_named_at_the_start(crosswalk: Crosswalk) -> None:
    crosswalk.key("", "p", "")
    turned = replace(crosswalk, keys=keys(OTHER, [SECRET]))
    with turned.doors.durable.begin() as connection:
        turned.begin_with(connection)
    with pytest.raises(ConfigurationError, match=fingerprint(SECRET)):
        replace(crosswalk, keys=Keys(OTHER)).prepare()


def test_a_patient_whose_key_this_process_does_not_have_is_held(crosswalk: Crosswalk) -> None:
    replace(crosswalk, keys=Keys(SECRET)).key("", "p", "")
    with pytest.raises(CannotSucceed, match="restart"):
        replace(crosswalk, keys=Keys(OTHER)).key("", "p", "")


def test_it_goes_into_a_worker_and_shows_no_secret(crosswalk: Crosswalk) -> None:
    again = pickle.loads(pickle.dumps(crosswalk))
    assert number(again, "p") == number(crosswalk, "p")
    for text in (repr(crosswalk), str(crosswalk)):
        assert SECRET.decode() not in text
        assert "postgresql" not in text


def test_a_database_that_is_away_may_come_back(tmp_path: Path) -> None:
    away = Crosswalk(url=f"postgresql://nobody@/none?host={tmp_path}", data=tmp_path, keys=Keys(SECRET))
    with pytest.raises(TryAgain, match="does not answer") as raised:
        away.key("", "secretive", "")
    assert "secretive" not in str(raised.value)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        away.prepare()
    away.close()


def test_a_newer_crosswalk_is_refused(crosswalk: Crosswalk) -> None:
    with crosswalk.doors.durable.begin() as connection:
        connection.execute(sa.update(about).values(value="99"))
    with pytest.raises(ConfigurationError, match="newer program"):
        crosswalk.prepare()


def test_it_is_no_table_of_the_index_and_on_sqlite_a_file_for_its_owner_alone(
    crosswalk: Crosswalk, database_url: str, tmp_path: Path
) -> None:
    number(crosswalk, "p")
    with crosswalk.doors.reader.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(patient)) == 1
        names = sa.inspect(connection).get_table_names()
    if database_url == "sqlite":
        assert all(name.startswith("crosswalk_") for name in names)
        files = [path for path in tmp_path.iterdir() if path.name.startswith(doors.FILE)]
        assert files
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    else:
        assert names == []


def test_on_sqlite_a_name_is_on_the_disk_before_it_is_used(tmp_path: Path) -> None:
    crosswalk = Crosswalk(url="sqlite", data=tmp_path, keys=Keys(SECRET))
    crosswalk.prepare()
    with crosswalk.doors.durable.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    crosswalk.close()
