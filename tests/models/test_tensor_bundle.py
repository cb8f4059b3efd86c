"""Checkpoints of TensorFlow, read without it."""

import base64
import zlib

import numpy as np
import pytest

from support.rcn import append_block, checksum, table, write_checkpoint
from voltween.errors import InputError
from voltween.models.tensor_bundle import read_bundle

# The two files that TensorFlow 2.21 wrote for `written_by_tensorflow`, compressed.
INDEX = (
    r"c-n>1%WD%+6u{woXEMpnOq0e*XN<3M1hofTq*{-y6sjQ776ZB{Rz-"
    r"<{Jj^07rYRIe$<Bfx5nL2kaTjo*7LmBCF5I{Y)rFv~{sX}WB8m$=*$6iXUYG~x<6ihNBScWi?S_&f5"
    r"iex&`E0&gN@jEUE7ekZp_VJ9N0akPy2>?_!Iwlu(Osv8J<~g&fdL9*l){yoZ+iM32NHOecJ8ZB`~AB"
    r"Hpn{huelxr7oBlzKBG8d|nVPS!zhxWKEDCJ{E41P64zV55Y!F%|F41Q4;*@W0CCy^c3}9W-"
    r">d%6~cv!<N(6n$_(ur43R~g4ObfFc*hNQ($dzTm|G>k(#ge#IZ*GGOc9?@_JItrVTZcL3|_4*@C_#D"
    r"OrP2!7fUVmf&mTd&O7W*>i^+#IJvJq*rG1C<Z|DWGYFAqY;#!(79?0)0J^zabW9h{)z_t_4c-"
    r"mReR;4wNs^4MY1v%~Pi!5Om7oxIDYSKF{QfT!ug?1MAHi53^qwQ8nVE|v?*b_FydD9PH7$3-"
    r"Ao&XjU0#KSug4AYL(*ijyGK}CgmcrU^~-20CyTkv`=g)n+AZ-%=Yy{GKm*1q0<B&1mrPprSQ5AN-"
    r"uXO?<t4T}G+`Cs*0dlskP{Q>f<iUR"
)
DATA = (
    r"c-qa>FAM>36u|Lk69hpJ1VIo4K@bER-ULBl69mDGO%yJO7e&cLQ4~c{6h+adh$OzZ3w{Fg-"
    r"~D!<a`*ea_qN}=C*mwS=aM`RY{Uv8DdbT>6Ft}%V2Cj$m|})G7Fc41H8$8{kHeQ@ii-FV(C@|$B80I"
    r"1CPxHO#Pqkh;z%H=|H+v`8X5g>?yS>KD5^JVD5321o_ed68tQ1MH*0F5jjmqLxCs{6+;}I{7Am;2@Z"
    r"L9braiL9{Fk5EYxdwPXUuzf=d5|BpNMhk3!lGL-HohH-#VV$bq1IOGI{"
)


def written_by_tensorflow():
    """Variables of the checkpoint above; it also has one of text."""
    weights = {
        f"gaffdfrm/deform_stem_{n}/W": n
        + np.arange(2 * n + 2, dtype="f4").reshape(2, -1)
        for n in range(20)
    }
    return weights | {"step": np.int64(-7), "is_training": np.array(True)}


def assert_equal(variables, expected):
    assert variables.keys() == expected.keys()
    for name, values in expected.items():
        assert variables[name].shape == np.shape(values)
        assert variables[name].dtype == values.dtype
        np.testing.assert_array_equal(variables[name], values)


def some_variables():
    rng = np.random.default_rng(0)
    return {
        f"scope/layer_{n}/W": rng.uniform(size=(n, 2, 3)).astype(np.float32)
        for n in range(
            300
        )  # the first is empty, and its place takes two bytes of 7 bits
    } | {"step": np.array(5), "flag": np.array(False)}


def test_what_tensorflow_wrote_is_read(tmp_path):
    for name, text in ("index", INDEX), ("data-00000-of-00001", DATA):
        content = zlib.decompress(base64.b85decode(text))
        (tmp_path / f"model-100.{name}").write_bytes(content)
    assert_equal(read_bundle(tmp_path / "model-100"), written_by_tensorflow())


def test_many_variables_in_many_blocks(tmp_path):
    variables = some_variables()
    assert_equal(
        read_bundle(write_checkpoint(tmp_path / "model", variables)), variables
    )


def test_the_checksum_of_the_tests_is_castagnolis():
    assert checksum(b"123456789") == 0xE3069283


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"model\.index"):
        read_bundle(tmp_path / "model")
    prefix = write_checkpoint(tmp_path / "model", some_variables())
    prefix.with_name("model.data-00000-of-00001").unlink()
    with pytest.raises(InputError, match=r"model\.data-00000-of-00001"):
        read_bundle(prefix)


def test_values_that_are_cut_short_are_refused(tmp_path):
    prefix = write_checkpoint(tmp_path / "model", some_variables())
    data = prefix.with_name("model.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(InputError, match="cut short or of another checkpoint"):
        read_bundle(prefix)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:30],
        lambda content: b"",
        lambda content: b"\0" * 100,
        lambda content: content[:50] + bytes([content[50] ^ 1]) + content[51:],
    ],
    ids=["short", "very short", "empty", "zeros", "a flipped bit"],
)
def test_a_damaged_index_is_refused(damage, tmp_path):
    prefix = write_checkpoint(tmp_path / "model", some_variables())
    index = prefix.with_name("model.index")
    index.write_bytes(damage(index.read_bytes()))
    with pytest.raises(InputError, match=r"model\.index: expected the index of a"):
        read_bundle(prefix)


def test_a_compressed_index_is_refused(tmp_path, monkeypatch):
    def compressed(result, entries):
        return append_block(result, entries, compression=1)

    monkeypatch.setattr("support.rcn.append_block", compressed)
    (tmp_path / "model.index").write_bytes(table({b"": b""}))
    with pytest.raises(InputError, match=r"got a compressed one: save .* to an \.npz"):
        read_bundle(tmp_path / "model")
