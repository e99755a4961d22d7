"""Which recordings are meant, what their outputs are called, and which weights transcribed them."""

import json
from pathlib import Path

import pytest

from livecap.export.formats import FORMATS
from livecap.transcribe.found import find
from livecap.transcribe.weights import weights_digest


def test_an_empty_name_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "talk.wav").touch()
    monkeypatch.chdir(tmp_path)
    found, errors = find([""])
    assert not found and [str(error) for error in errors] == [
        "Cannot transcribe '': this is not the name of a file. A dot is the current folder."
    ]
    assert [each.name for each in find(["."])[0]] == ["talk"]


@pytest.mark.parametrize(
    ("stem", "beginning"), [("n" * 251, "n" * 230), ("\u00e9" * 125 + "n", "\u00e9" * 115)], ids=["ASCII", "accents"]
)
def test_outputs_of_recordings_with_long_names_fit_on_the_disk(tmp_path: Path, stem: str, beginning: str) -> None:
    for name in (f"{stem}.wav", f"{stem}.mp3", f"{stem[:-1]}m.wav", f"{stem[1:]}.wav"):
        (tmp_path / name).touch()
    names = [each.name for each in find([str(tmp_path)])[0]]
    assert names == [each.name for each in find([str(tmp_path)])[0]] and len(set(names)) == 4
    assert stem[1:] in names, "a name that fits stays"
    shortened = [name for name in names if name != stem[1:]]
    assert all(name.startswith(beginning) for name in shortened)
    assert sorted(Path(name).suffix for name in shortened) == ["", ".mp3", ".wav"]
    for name in names:
        for suffix in FORMATS:
            (tmp_path / f"{name}.{suffix}").touch()
    alone = [find([str(tmp_path / f"{stem}.wav")])[0][0].name for _ in range(2)]
    assert alone[0] == alone[1] not in names


def test_names_that_are_one_on_the_disk_of_a_mac_are_told_apart(tmp_path: Path) -> None:
    names = ["one/Caf\u00e9.wav", "two/cafe\u0301.wav"]
    for name in names:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    found, _ = find([str(tmp_path / name) for name in names])
    assert [each.name for each in found] == ["one-Caf\u00e9.wav", "two-cafe\u0301.wav"]


def test_recordings_of_one_name_in_the_current_folder_get_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here/talk.wav", "here/a/talk.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    assert [each.name for each in find(["talk.wav", "a/talk.wav"])[0]] == ["here-talk.wav", "a-talk.wav"]


def test_videos_and_sounds_of_every_common_suffix_are_found_in_a_folder(tmp_path: Path) -> None:
    names = "a.wmv b.FLV c.ogv d.vob e.m2ts f.asf g.mp2 h.spx i.dts j.voc k.3g2 l.m4r m.ts".split()
    for name in names:
        (tmp_path / name).write_bytes((b"\x47" + bytes(187)) * 9 if name == "m.ts" else b"")
    for name in ("types.ts", "empty.ts", "notes.txt", "talk.srt"):
        (tmp_path / name).write_text("" if name == "empty.ts" else "export const rate: number = 16000;\n" * 20)
    (tmp_path / "folder.ts").mkdir()
    assert [each.path.name for each in find([str(tmp_path)])[0]] == names
    assert [each.path.name for each in find([str(tmp_path / "*.ts")])[0]] == ["m.ts"]


def test_standard_input_is_not_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "use livecap --stdin" in str(find(["-"])[1])


def test_other_weights_have_another_digest_however_many_arrays_there_are(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "lost.json").symlink_to(tmp_path / "nowhere")
    for n_arrays in (3, 900):  # the list of 900 arrays is longer than what is read at the beginning
        entries = {
            f"thinker.model.layers.{n}.self_attn.q_proj.weight": {
                "dtype": "F32", "shape": [256], "data_offsets": [1024 * n, 1024 * n + 1024],
            }
            for n in range(n_arrays)
        }  # fmt: skip
        header = json.dumps(entries).encode()
        digests = set()
        for value in (b"\0", b"\1"):
            content = len(header).to_bytes(8, "little") + header + value * 1024 * n_arrays
            (folder / "model.safetensors").write_bytes(content)
            digests.add(weights_digest(folder))
        assert len(digests) == 2
