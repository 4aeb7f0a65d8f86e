"""The corpus of bad images: what is wrong with a folder or table of them, and what must be said."""

import gzip
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from image_samples import AFFINE, bids, head, patched, transform, with_header
from nextscan.images.files import write_image

FIRST, SECOND = (f"heads/sub-01/ses-{n}/anat/sub-01_ses-{n}_T1w.nii.gz" for n in (1, 2))
Maker = Callable[[Path], object]
ERROR, FINDING, NOTE = "error", "finding", "note"


@dataclass(frozen=True)
class ImageCase:
    """One bad cohort of images.

    Attributes
    ----------
    name : str
    make : callable
        Spoils the good folder ``heads`` in the folder it is given.
    says : str
        What the one line says: the place and what to do.
    kind : str
        An error ends with exit code 2; a finding is in what `describe` prints, as a note is on stderr.
    command : str
    """

    name: str
    make: Maker
    says: str
    kind: str = ERROR
    command: str = "describe heads"


def good(folder: Path) -> None:
    bids(folder / "heads")


def also(*makers: Maker) -> Maker:
    return lambda folder: [make(folder) for make in (good, *makers)]


def raw(content: bytes, name: str = SECOND) -> Maker:
    return lambda folder: (folder / name).write_bytes(content)


def cut(keep: float, name: str = SECOND) -> Maker:
    return lambda folder: (folder / name).write_bytes(
        (folder / name).read_bytes()[: int(keep * len((folder / name).read_bytes()))]
    )


def header(field: str, *values: float, at: int, form: str = "f") -> Maker:
    return also(lambda folder: patched(folder / SECOND, with_header(field, *values, at=at, form=form)))


def image(data: object, affine: object = AFFINE, name: str = SECOND) -> Maker:
    return also(lambda folder: write_image(folder / name, np.asarray(data), np.asarray(affine)))


def values(change: Callable[[np.ndarray], object]) -> Maker:
    """Change the voxels of the second image, unchecked."""

    def patch(content: bytearray) -> None:
        data = np.frombuffer(content, "<f4", offset=352).copy()
        change(data)
        content[352:] = data.tobytes()

    return also(lambda folder: patched(folder / SECOND, patch))


def rows(*lines: str, name: str = "table.csv") -> Maker:
    return also(lambda folder: (folder / name).write_text("\n".join(lines) + "\n"))


def text(content: str, name: str) -> Maker:
    return lambda folder: (folder / name).write_text(content)


def gone(*names: str) -> Maker:
    return lambda folder: [(folder / name).unlink() for name in names]


def moved(old: str, new: str) -> Maker:
    return lambda folder: (folder / old).rename(folder / new)


def copied(old: str, new: str) -> Maker:
    return lambda folder: (folder / new).write_bytes((folder / old).read_bytes())


def _beside(ending: str) -> str:
    return SECOND.replace("T1w.nii.gz", ending)


def _terabyte(content: bytearray) -> None:
    struct.pack_into("<8h", content, 40, 3, 10_000, 10_000, 10_000, 1, 1, 1, 1)


def _flat_sform(content: bytearray) -> None:
    struct.pack_into("<2h", content, 252, 0, 1)
    struct.pack_into("<12f", content, 280, 6, 6, 0, 0, 6, 6, 0, 0, 0, 0, 6, 0)


def _unplaced(content: bytearray) -> None:
    struct.pack_into("<2h", content, 252, 0, 0)


def _shifted() -> np.ndarray:
    affine = AFFINE.copy()
    affine[:3, 3] += (30, 24, 0)
    return affine


TABLE = "describe table.csv"
LABELS = np.round(head(0) / 120).clip(0, 4).astype(np.int16)

FILES = [
    ImageCase(
        "gzip cut short", also(cut(0.5)), f"{SECOND} (sub-01 ses-2): the data are cut short or damaged; copy the file"
    ),
    ImageCase("gzip cut within the header", also(cut(0.002)), "the file is cut short or damaged; copy it again"),
    ImageCase(
        "bytes changed in gzip",
        also(lambda folder: _flip_bits(folder / SECOND)),
        "the data are cut short or damaged; copy the file again",
    ),
    ImageCase("data end early", header("dim", 3, 24, 28, 44, at=40, form="h"), "the data are cut short or damaged"),
    ImageCase("file is empty", also(raw(b"")), f"{SECOND} (sub-01 ses-2): the file is empty; copy it again"),
    ImageCase("a picture", also(raw(b"\x89PNG\r\n" + bytes(500))), "is not a NIfTI image; convert it to .nii.gz"),
    ImageCase("a text", also(raw(b"version https://git-lfs")), "is not a NIfTI image; convert it to .nii.gz"),
    ImageCase("wrong magic", header("magic", 0x31, 0, 0, 0, at=344, form="b"), "is not a NIfTI image"),
    ImageCase("half of a pair", header("magic", 0x6E, 0x69, 0x31, 0, at=344, form="b"), "one half of a .hdr and .img"),
    ImageCase("header only", also(raw(gzip.compress(bytes([92, 1, 0, 0]) + bytes(100)))), "ends within the header"),
    ImageCase(
        "header claims a terabyte",
        also(lambda folder: patched(folder / SECOND, _terabyte)),
        "the header claims 4 TB (shape 10000×10000×10000), more than any image here may have",
    ),
    ImageCase(
        "header claims more than the file can hold",
        header("dim", 3, 700, 700, 700, at=40, form="h"),
        "the header claims 1.37 GB of data, a file of this size cannot hold them; it is cut short",
    ),
    ImageCase("negative dimension", header("dim", 3, -24, 28, 22, at=40, form="h"), "the header gives shape (-24, 28"),
    ImageCase("2-D", header("dim", 2, 24, 28, 1, at=40, form="h"), "is a 2-D image (24×28); expected a 3-D image"),
    ImageCase("single slice", header("dim", 3, 24, 28, 1, at=40, form="h"), "is a 2-D image (24×28×1)"),
    ImageCase(
        "4-D where 3-D is due",
        header("dim", 4, 24, 28, 11, 2, at=40, form="h"),
        "has 4 dimensions (24×28×11×2); expected one 3-D image: name one of its 2 frames",
    ),
    ImageCase("colours", header("datatype", 128, 24, at=70, form="h"), "holds colours or complex numbers"),
    ImageCase("unknown type of numbers", header("datatype", 77, 32, at=70, form="h"), "the header is damaged"),
    ImageCase("lengths in microns", header("xyzt_units", 3, at=123, form="b"), "lengths are in micron; convert"),
    ImageCase(
        "zero spacing",
        also(
            lambda folder: patched(
                folder / SECOND,
                lambda c: (_unplaced(c), with_header("pixdim", 1, 6, 0, 6, at=76)(c)),
            )
        ),
        "the header gives a voxel size of zero or no number",
    ),
    ImageCase(
        "NaN in the affine", header("srow_x", float("nan"), at=280), "the header gives a voxel size of zero or no"
    ),
    ImageCase("singular affine", also(lambda folder: patched(folder / SECOND, _flat_sform)), "(singular affine)"),
    ImageCase(
        "NaN",
        values(lambda data: data.__setitem__(slice(100, 110), np.nan)),
        "10 of 14,784 voxels are NaN or infinite; replace them (background is 0)",
    ),
    ImageCase("infinite", values(lambda data: data.__setitem__(7, np.inf)), "1 of 14,784 voxels are NaN or infinite"),
    ImageCase("constant image", image(np.full((24, 28, 22), 3.0)), "every voxel is 3; export the image again"),
    ImageCase(
        "link without its file",
        also(gone(SECOND), lambda folder: (folder / SECOND).symlink_to("../elsewhere/x")),
        "is a link to a file that is not there; fetch it",
    ),
    ImageCase(
        "link of git-annex",
        also(gone(SECOND), lambda folder: (folder / SECOND).symlink_to("../../../.git/annex/objects/x")),
        f"is a pointer of git-annex, its content has not been fetched; run `datalad get {SECOND}`",
    ),
    ImageCase(
        "key of git-annex", also(raw(b"/annex/objects/MD5E-s1234--0f.nii.gz\n")), "is a pointer of git-annex, its"
    ),
    ImageCase(
        "pointer of Git LFS",
        also(raw(b"version https://git-lfs.github.com/spec/v1\noid sha256:00ff\nsize 12345\n")),
        "is a pointer of Git LFS, its content has not been fetched; run `git lfs pull`",
    ),
    ImageCase(
        "two problems",
        also(raw(b""), raw(b"", FIRST)),
        f"{FIRST} (sub-01 ses-1): the file is empty; copy it again (and 1 more problem: see nextscan describe)",
    ),
]

FOLDERS = [
    ImageCase("no subjects", lambda folder: (folder / "heads").mkdir(), "and no sub-* folders of BIDS; give a table"),
    ImageCase(
        "subjects without images",
        lambda folder: (folder / "heads/sub-01/anat").mkdir(parents=True),
        "heads: no images in sub-*/anat or sub-*/ses-*/anat; expected names as sub-01_ses-1_T1w.nii.gz",
    ),
    ImageCase(
        "two suffixes",
        also(lambda folder: bids(folder / "heads", suffix="FLAIR")),
        "heads: several kinds of images: FLAIR (5), T1w (5); choose one with --suffix FLAIR",
    ),
    ImageCase("suffix of no image", good, "no image is a T2w; there are T1w", command="describe heads --suffix T2w"),
    ImageCase(
        "several kinds of one suffix",
        also(moved(SECOND, _beside("acq-a_T1w.nii.gz")), copied(FIRST, _beside("acq-b_T1w.nii.gz"))),
        "several images are a T1w: acq-a_T1w, acq-b_T1w; say which with its entities: --suffix acq-a_T1w",
    ),
    ImageCase(
        "several runs",
        also(moved(SECOND, _beside("run-2_T1w.nii.gz")), copied(FIRST, _beside("run-1_T1w.nii.gz"))),
        "1 visits have several runs of the image; the first run is taken",
        FINDING,
    ),
    ImageCase(
        "image of another subject",
        also(moved(SECOND, SECOND.replace("/sub-01_ses-2_", "/sub-02_ses-2_"))),
        "lies in the folder of sub-01 ses-2 but has another subject or session in its name; move or rename it",
    ),
    ImageCase(
        "no session table",
        lambda folder: bids(folder / "heads", sessions=False),
        "heads: no table tells when sessions were, so years are unknown; add sessions.tsv with age or acq_time",
        FINDING,
    ),
    ImageCase(
        "no session table, what it means",
        lambda folder: bids(folder / "heads", sessions=False),
        "the gap is unknown for 2 of 2 pairs of visits",
        FINDING,
    ),
    ImageCase(
        "one visit only",
        lambda folder: bids(folder / "heads", {"01": ("1",), "02": ("1",)}),
        "nobody has two visits with images: nothing to learn change from",
        FINDING,
    ),
    ImageCase(
        "date that is none",
        also(text("session_id\tacq_time\nses-1\t2001-02-03\nses-2\tsoon\n", "heads/sub-01/sub-01_sessions.tsv")),
        "acq_time: words or ranges, not a date (soon): a text label acq_time_text",
        FINDING,
    ),
    ImageCase(
        "age that is none",
        also(text("session_id\tage\nses-1\t60\nses-2\told\n", "heads/sub-01/sub-01_sessions.tsv")),
        "column age: 1 cells are not a number, taken as missing: 'old' (sub-01/sub-01_sessions.tsv line 3)",
        FINDING,
    ),
    ImageCase(
        "session twice in its table",
        also(text("session_id\tage\nses-1\t60\nses-1\t61\n", "heads/sub-01/sub-01_sessions.tsv")),
        "sub-01/sub-01_sessions.tsv line 3: session ses-1 of sub-01 is there twice; keep one row",
    ),
    ImageCase(
        "session table without sessions",
        also(text("name\tage\na\t60\n", "heads/sub-01/sub-01_sessions.tsv")),
        "sub-01_sessions.tsv: expected columns session_id (and age or acq_time), found name, age",
    ),
    ImageCase(
        "table of sessions without subjects",
        also(text("session_id\tage\nses-1\t60\n", "heads/sessions.tsv")),
        "heads/sessions.tsv: expected columns participant_id and session_id",
    ),
    ImageCase(
        "session without an image",
        also(text("session_id\tage\nses-1\t60\nses-2\t61\nses-9\t70\n", "heads/sub-01/sub-01_sessions.tsv")),
        "1 sessions of sessions.tsv without an image, taken as requests: sub-01 ses-9",
        FINDING,
    ),
    ImageCase(
        "sessions of a subject without a folder",
        also(text("participant_id\tsession_id\tage\nsub-09\tses-1\t60\n", "heads/sessions.tsv")),
        "sessions.tsv names subjects without a folder, left out: sub-09",
        FINDING,
    ),
    ImageCase(
        "participants without participant_id",
        also(text("name\tsex\nx\tF\n", "heads/participants.tsv")),
        "heads/participants.tsv: no subject column; expected a name such as participant_id",
    ),
    ImageCase(
        "participants of another study",
        also(text("participant_id\tsex\nsub-77\tF\n", "heads/participants.tsv")),
        "heads/participants.tsv: none of its subjects (sub-77) is in heads",
    ),
    ImageCase(
        "two transforms of an image",
        also(
            lambda folder: transform(folder / _beside("from-T1w_to-a_mode-image_xfm.txt")),
            lambda folder: transform(folder / _beside("from-T1w_to-b_mode-image_xfm.txt")),
        ),
        'there are several transforms of this image, to a, b; choose one in a schema: [images] space = "..."',
    ),
    ImageCase(
        "transform that is none",
        also(text("1 0 0 0\n0 1 0 0\n0 0 1 0\n", _beside("from-T1w_to-a_mode-image_xfm.txt"))),
        "is no affine transform in ITK's text format",
    ),
    ImageCase(
        "transform with too few numbers",
        also(
            text(
                "#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\nParameters: 1 0 0\n",
                _beside("from-T1w_to-a_mode-image_xfm.txt"),
            )
        ),
        "needs 12 parameters and a centre of 3, it has 3 and 0",
    ),
    ImageCase(
        "transform that cannot be undone",
        also(lambda folder: transform(folder / _beside("from-T1w_to-a_mode-image_xfm.txt"), np.zeros((3, 3)))),
        "flattens space, so that it cannot be undone",
    ),
    ImageCase(
        "schema without volume",
        also(text('[images]\nmask = "mask"\n', "schema.toml"), rows("subject,a,mask", "s1,1,2", "s2,2,3")),
        "schema.toml, images: names no column for volume",
        command="describe table.csv --schema schema.toml",
    ),
    ImageCase(
        "unknown key of images",
        also(text('[images]\nsufix = "T1w"\n', "schema.toml")),
        "schema.toml: unknown key images.sufix; did you mean suffix?",
        command="describe heads --schema schema.toml",
    ),
]

PAIRS = [
    ImageCase(
        "flipped orientation between visits",
        image(head(0, 1)[::-1], AFFINE @ np.array([[-1, 0, 0, 23], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])),
        "visits oriented otherwise than the subject's first: 1 (sub-01 ses-2 (LAS, first RAS))",
        FINDING,
    ),
    ImageCase(
        "array flipped against its header",
        image(head(0, 1)[:, :, ::-1]),
        "visits that fit the subject's first only when mirrored: 1 (sub-01 ses-2 (top and bottom, its third axis))",
        FINDING,
    ),
    ImageCase(
        "unregistered pair",
        image(head(0, 1), _shifted()),
        "visits that do not lie on the subject's first: 1 (sub-01 ses-2 (correlation",
        FINDING,
    ),
    ImageCase(
        "field of view beside the head",
        image(head(0, 1)[:, :, 11:], AFFINE + np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 66], [0, 0, 0, 0]])),
        "visits that show less than 80 % of the head that others of the subject show: 1 (sub-01 ses-2 (lacks 50%",
        FINDING,
    ),
    ImageCase(
        "other shape", image(head(0, 1, (26, 28, 22))), "visits of another shape than the subject's first", FINDING
    ),
    ImageCase(
        "other spacing",
        image(head(0, 1), AFFINE @ np.diag([1.2, 1, 1, 1])),
        "visits with other voxels than the subject's first: 1 (sub-01 ses-2 (7.2×6×6 mm, first 6×6×6 mm))",
        FINDING,
    ),
    ImageCase(
        "label map as image", image(LABELS), "images of few whole numbers in patches, as label maps are: 1", FINDING
    ),
    ImageCase(
        "almost all zero",
        image(np.where(np.indices((24, 28, 22)).sum(0) < 5, 7.5, 0)),
        "images with more than 99 % zeros: 1 (sub-01 ses-2)",
        FINDING,
    ),
    ImageCase("negative range", image(head(0, 1) - 300), "images with negative intensities: 1 (sub-01 ses-2)", FINDING),
    ImageCase(
        "header says nothing of the place",
        also(lambda folder: patched(folder / SECOND, _unplaced)),
        "images whose header does not say where it lies (qform and sform codes 0): 1 (sub-01 ses-2)",
        FINDING,
    ),
    ImageCase(
        "qform and sform disagree",
        header("srow_x", 6, 0, 0, -50, at=280),
        "images whose qform and sform disagree by more than 1 mm: 1 (sub-01 ses-2)",
        FINDING,
    ),
    ImageCase(
        "same image at two visits",
        also(copied(FIRST, SECOND)),
        "images that two visits of a subject share: 1 (sub-01 ses-1 = sub-01 ses-2); drop the copy",
        FINDING,
    ),
    ImageCase(
        "same image of two subjects",
        also(
            copied("heads/sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz", "heads/sub-03/ses-1/anat/sub-03_ses-1_T1w.nii.gz")
        ),
        "1 pair of different subjects with the same image: sub-02 ses-1 = sub-03 ses-1",
        FINDING,
    ),
    ImageCase(
        "mask of another shape",
        image(np.ones((9, 9, 9), bool), name=_beside("desc-brain_mask.nii.gz")),
        "mask files on another grid than the image: 1 (sub-01 ses-2); expected its shape and affine",
        FINDING,
    ),
    ImageCase(
        "empty mask",
        also(
            lambda folder: write_image(folder / _beside("desc-brain_mask.nii.gz"), np.zeros((24, 28, 22), bool), AFFINE)
        ),
        "(mask of sub-01 ses-2): the mask is empty; make it again or leave it out",
    ),
    ImageCase(
        "mirroring transform",
        also(
            lambda folder: transform(folder / _beside("from-T1w_to-a_mode-image_xfm.txt"), np.diag([-1, 1, 1])),
            lambda folder: transform(
                folder / FIRST.replace("T1w.nii.gz", "from-T1w_to-a_mode-image_xfm.txt"), np.eye(3)
            ),
        ),
        "transforms that mirror, or change volume more than twofold: 1 (sub-01 ses-2)",
        FINDING,
    ),
    ImageCase(
        "transform of one visit only",
        also(lambda folder: transform(folder / _beside("from-T1w_to-a_mode-image_xfm.txt"))),
        "visits with a transform though the subject's first has none, or without one: 1 (sub-01 ses-2)",
        FINDING,
    ),
]

TABLES = [
    ImageCase(
        "path out of the folder",
        rows("subject,visit,volume", "s1,1,../elsewhere.nii.gz", f"s1,2,{SECOND}"),
        "table.csv, line 2, column volume, subject s1: ../elsewhere.nii.gz leads out of the cohort's folder; give an",
        command=TABLE,
    ),
    ImageCase(
        "path that climbs in between",
        rows("subject,visit,volume", "s1,1,heads/../../elsewhere.nii.gz", f"s1,2,{SECOND}"),
        "leads out of the cohort's folder; give an absolute path",
        command=TABLE,
    ),
    ImageCase(
        "image is missing",
        rows("subject,visit,volume", f"s1,1,{FIRST}", "s1,2,heads/gone.nii.gz"),
        "table.csv, line 3, column volume, subject s1: heads/gone.nii.gz: there is no such file; correct the path",
        command=TABLE,
    ),
    ImageCase(
        "transform is missing",
        rows("subject,visit,volume,transform", f"s1,1,{FIRST},to_common.txt"),
        "column transform, subject s1: to_common.txt: there is no such file",
        command=TABLE,
    ),
    ImageCase(
        "path of no image",
        rows("subject,visit,volume", f"s1,1,{FIRST}", "s1,2,heads/participants.tsv"),
        "heads/participants.tsv does not name an image; expected .nii, .nii.gz or .mgz",
        command=TABLE,
    ),
    ImageCase(
        "visit twice with different images",
        rows("subject,visit,volume", f"s1,1,{FIRST}", f"s1,1,{SECOND}"),
        "subject s1 has visit 1 twice with different images (line 2 and line 3: sub-01_ses-1_T1w.nii.gz and",
        command=TABLE,
    ),
    ImageCase(
        "visit twice with the same image",
        rows("subject,visit,volume", f"s1,1,{FIRST}", f"s1,1,{FIRST}", f"s1,2,{SECOND}"),
        "table.csv, line 3: subject s1 repeats an earlier row; 1 such row left out",
        FINDING,
        command=TABLE,
    ),
    ImageCase(
        "unknown role",
        rows("subject,visit,image", f"s1,1,{FIRST}", f"s1,2,{SECOND}"),
        "image names images: call it one of volume, transform, mask, segmentation, noise_free",
        command=TABLE,
    ),
    ImageCase(
        "pool without images",
        also(
            rows("subject,visit,volume", f"s1,1,{FIRST}", f"s1,2,{SECOND}"),
            rows("subject,visit,area", "x1,1,2.5", "x2,1,2.6", name="pool.csv"),
        ),
        "pool.csv",
        command="describe table.csv --unpaired pool.csv",
    ),
    ImageCase(
        "suffix of a table",
        rows("subject,visit,volume", f"s1,1,{FIRST}", f"s1,2,{SECOND}"),
        "table.csv: suffix chooses among the images of a BIDS folder, which this is not; leave it out",
        command="describe table.csv --suffix T1w",
    ),
]


def _flip_bits(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # in the checksum
    path.write_bytes(bytes(content))


IMAGE_CASES = [*FILES, *FOLDERS, *PAIRS, *TABLES]
