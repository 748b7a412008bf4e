import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.packs.importers.javascript import exported

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=6), values, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=6), VALUES))
def test_json_is_read_as_json(value: dict[str, Any]) -> None:
    assert exported(f"e.exports={json.dumps(value, ensure_ascii=False)};more()") == value


def test_what_minifiers_write() -> None:
    source = """!function(e){if("object"==typeof exports)module.exports=e()}(1,function(t,e){
        e.exports={a:!0,b:!1,"c-d":.5,$e:-2e3,f:void 0,g:null,
        h:[1,[2],{}],i:'it\\'s',j:`\\u0041\\x42\\u{43}\\n`}},{})"""
    assert exported(source) == {
        "a": True,
        "b": False,
        "c-d": 0.5,
        "$e": -2000.0,
        "f": None,
        "g": None,
        "h": [1, [2], {}],
        "i": "it's",
        "j": "ABC\n",
    }


@pytest.mark.parametrize(
    "source", ["var a=1", "exports={a:b}", "exports={a:1+1}", "exports={a:f()}", "exports=[1", "exports=`${a}`"]
)
def test_code_is_refused(source: str) -> None:
    with pytest.raises(ValueError):
        exported(source)
