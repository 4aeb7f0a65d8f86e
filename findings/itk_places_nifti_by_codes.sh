#!/usr/bin/env bash
# SimpleITK 2.5.7 (ITK 5.4) against nibabel 5.4.2: where does a NIfTI image lie?
# Expected: both take the sform where its code is not 0, and agree where both codes are 0.
# Seen: ITK takes the qform where the sform's code is 2 to 5 and there is a qform, another corner and another second
# axis where both codes are 0, steps from pixdim where the sform has others, and refuses a sheared sform alone.
# It matters: transforms that ITK made act where ITK puts the image; images/itk_space.py follows this rule.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 nibabel==5.4.2 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import sys

import nibabel
import numpy as np
import SimpleITK as sitk

sitk.ProcessObject.SetGlobalWarningDisplay(False)
print("SimpleITK", sitk.Version_VersionString(), "ITK", sitk.Version_ITKVersionString(), "nibabel", nibabel.__version__)
STEPS = np.array([1.5, 2.0, 2.5])


def turned(axis, degrees, offset):
    angle = np.deg2rad(degrees)
    affine, (i, j) = np.eye(4), [k for k in range(3) if k != axis]
    affine[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    affine[:3, :3] *= STEPS
    affine[:3, 3] = offset
    return affine


QFORM, SFORM = turned(2, 12, (8, 14, -6)), turned(0, -20, (-30, 4, 11))
SHEARED, LONGER = SFORM.copy(), SFORM @ np.diag([1, 1, 2, 1.0])
SHEARED[0, 1] += 0.2
CORNER = np.diag([-1.5, -2.0, 2.5, 1.0])
NAMED = {"qform": QFORM, "sform": SFORM, "sheared sform": SHEARED, "longer sform": LONGER, "corner at 0": CORNER}


def said(affine):
    return next((name for name, known in NAMED.items() if np.allclose(affine, known, atol=1e-3)), "other")


def seen(qform_code, sform_code, sform):
    header = nibabel.Nifti1Header()
    header.set_data_shape((4, 5, 6))
    header.set_data_dtype(np.uint8)
    header.set_qform(QFORM, qform_code)
    header["sform_code"] = sform_code
    header["srow_x"], header["srow_y"], header["srow_z"] = sform[:3]
    header["magic"], header["vox_offset"] = b"n+1", 352
    with open("a.nii", "wb") as file:
        file.write(header.binaryblock + bytes(4) + bytes(120))
    by_nibabel = said(nibabel.load("a.nii").affine)
    try:
        image = sitk.ReadImage("a.nii")
    except RuntimeError:
        return "refused", by_nibabel
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return said(np.diag([-1, -1, 1, 1]) @ affine), by_nibabel


wrong = 0
for name, sform in (("straight", SFORM), ("sheared", SHEARED), ("longer", LONGER)):
    for qform_code in range(6):
        for sform_code in range(6):
            if not qform_code and not sform_code:
                expected = "corner at 0"
            elif not sform_code or (qform_code and (sform_code > 1 or name == "sheared")):
                expected = "qform"
            else:
                expected = "refused" if name == "sheared" else "sform"
            itk, other = seen(qform_code, sform_code, sform)
            wrong += itk != expected
            if qform_code < 2 or itk != expected:
                mark = "" if itk == expected else f"   CHANGED, was {expected}"
                print(f"{name:8} qform {qform_code} sform {sform_code}: ITK {itk:12} nibabel {other}{mark}")
print("as it was" if not wrong else f"{wrong} of 108 changed")
sys.exit(wrong > 0)
PYTHON
