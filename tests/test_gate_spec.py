from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.errors import UsageError
from perfsuite.gate.spec import Spec, parse_spec

# What a value may be: anything that does not begin another part.
values = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=20).filter(
    lambda text: not any(f",{kind}:" in f",{text}" for kind in ("git", "python", "env"))
)
references = values.filter(lambda text: not text.startswith("-"))
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "git", "python", "variables"),
    [
        (".", ".", None, {}),
        ("git:.", ".", None, {}),
        ("git:main", "main", None, {}),
        ("git:feature/a,b", "feature/a,b", None, {}),
        ("git:HEAD^{/fix: this, that}", "HEAD^{/fix: this, that}", None, {}),
        ("python:.venv/bin/python", None, ".venv/bin/python", {}),
        ("env:X=1", None, None, {"X": "1"}),
        ("env:X=", None, None, {"X": ""}),
        ("env:X=a=b,c,env:Y= ", None, None, {"X": "a=b,c", "Y": " "}),
        ("git:main,env:X=1", "main", None, {"X": "1"}),
        (".,python:/opt/a,b/python,env:X=1,2", ".", "/opt/a,b/python", {"X": "1,2"}),
        ("env:MALLOC_CONF=a:1,b:2,git:v1", "v1", None, {"MALLOC_CONF": "a:1,b:2"}),
    ],
)
def test_what_is_written_is_what_is_read(text: str, git: str, python: str, variables: dict[str, str]) -> None:
    assert parse_spec(text) == Spec(text, git, python, variables)


@given(
    st.none() | references,
    st.none() | values,
    st.dictionaries(names, st.just("") | values, max_size=3),
    st.randoms(use_true_random=False),
)
def test_any_parts_in_any_order_are_told_apart(
    git: str | None, python: str | None, variables: dict[str, str], random: Random
) -> None:
    parts = [f"git:{git}"] * (git is not None) + [f"python:{python}"] * (python is not None)
    parts += [f"env:{name}={value}" for name, value in variables.items()]
    random.shuffle(parts)
    text = ",".join(parts)
    if parts:
        spec = parse_spec(text)
        assert (spec.git, spec.python, dict(spec.variables)) == (git, python, variables)
        assert parse_spec(spec.text) == spec
    else:
        with pytest.raises(UsageError, match="expected git:REF"):
            parse_spec(text)


@given(st.text() | st.lists(st.sampled_from(["git:", "python:", "env:", ",", "=", ".", "X", "-"])).map("".join))
def test_anything_else_is_one_line_that_says_so(text: str) -> None:
    message = None
    try:
        spec = parse_spec(text)
    except UsageError as error:
        message = str(error)
    if message is None:
        assert spec.git is not None or spec.python is not None or spec.variables
    else:
        assert message.startswith("SPEC ")
        assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"SPEC '': expected git:REF, python:PATH or env:KEY=VALUE.*working tree$"),
        ("main", r"did you mean git:main\?$"),
        ("X=1", r"did you mean env:X=1\?$"),
        ("/opt/python", r"did you mean python:/opt/python\?$"),
        ("commit:main", r"expected git:REF.*working tree$"),
        ("git:", "nothing follows 'git:'"),
        ("git:main,env:", "nothing follows 'env:'"),
        ("git:main,git:dev", "git: is there twice"),
        (".,git:dev", "git: is there twice"),
        ("python:a,python:b", "python: is there twice"),
        ("env:X=1,env:X=2", "env:X is there twice"),
        ("env:X", "expected env:KEY=VALUE, found 'env:X'"),
        ("env:=1", "expected env:KEY=VALUE, found 'env:=1'"),
        ("env:1X=1", "expected env:KEY=VALUE, found 'env:1X=1'"),
        ("git:--upload-pack=x", "no commit is called '--upload-pack=x'"),
        ("env:X=\0", "NUL"),
    ],
)
def test_what_is_wrong_is_shown(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_spec(text)


@pytest.mark.parametrize(("text", "commit"), [(".", None), ("env:X=1", None), ("git:.", None), ("git:v1", "v1")])
def test_the_working_tree_is_no_commit(text: str, commit: str | None) -> None:
    assert parse_spec(text).commitish == commit
