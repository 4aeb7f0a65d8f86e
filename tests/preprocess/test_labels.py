from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from nextscan.errors import CohortError
from nextscan.preprocess import LabelEncoder

TRAINING = pd.DataFrame(
    {
        "site": ["B", "A", "A", "C"],
        "age": [50.0, 60.0, np.nan, 70.0],
        "score": [1, 2, 3, 5],
        "smoker": [True, False, False, True],
    }
)


def test_numbers_go_to_the_unit_interval_and_texts_to_one_column_per_category():
    encoder = LabelEncoder.fit(TRAINING)
    assert encoder.names == ("age", "age missing", "score", "site=A", "site=B", "site=C", "smoker")
    values = pd.DataFrame(encoder.transform(TRAINING), columns=list(encoder.names))
    assert values["age"].tolist() == [0, 0.5, 0.5, 1]  # the missing one takes the mean of the others
    assert values["age missing"].tolist() == [0, 0, 1, 0]
    assert values["score"].tolist() == [0, 0.25, 0.5, 1]
    assert values["site=A"].tolist() == [0, 1, 1, 0]
    assert values["smoker"].tolist() == [1, 0, 0, 1]


def test_missing_unknown_and_absent_labels_take_training_means():
    encoder = LabelEncoder.fit(TRAINING)
    new = pd.DataFrame({"site": ["D", None], "age": [80.0, np.nan]})
    values = pd.DataFrame(encoder.transform(new), columns=list(encoder.names))
    assert values[["site=A", "site=B", "site=C"]].to_numpy().tolist() == [[0.5, 0.25, 0.25]] * 2
    assert values["age"].tolist() == [1.5, 0.5]  # beyond the training range: not cut
    assert values["age missing"].tolist() == [0, 1]
    assert values["score"].tolist() == [pytest.approx(0.4375)] * 2


def test_columns_do_not_depend_on_the_order_of_the_table():
    turned = TRAINING[TRAINING.columns[::-1]].iloc[::-1]
    encoder, other = LabelEncoder.fit(TRAINING), LabelEncoder.fit(turned)
    assert other.names == encoder.names
    assert np.array_equal(other.transform(TRAINING), encoder.transform(TRAINING))


def test_labels_that_tell_nothing_are_dropped_and_recorded():
    table = pd.concat([TRAINING] * 4).assign(empty=np.nan, code=[f"id{i}" for i in range(16)])
    encoder = LabelEncoder.fit(table)
    assert encoder.dropped == {"empty": "no value in training", "code": "too many different texts"}
    assert encoder.names == LabelEncoder.fit(TRAINING).names


def test_constant_number_is_zero_and_no_labels_are_no_columns():
    encoder = LabelEncoder.fit(pd.DataFrame({"age": [60.0, 60.0]}))
    assert encoder.transform(pd.DataFrame({"age": [60.0]})).tolist() == [[0.0]]
    none = LabelEncoder.fit(pd.DataFrame(index=range(3)))
    assert none.transform(pd.DataFrame(index=range(2))).shape == (2, 0)


def test_text_in_a_label_that_was_a_number_is_a_named_error():
    with pytest.raises(CohortError, match="label age was a number"):
        LabelEncoder.fit(TRAINING).transform(pd.DataFrame({"age": ["old"]}))


def test_state_is_ready_for_a_model_folder():
    encoder = LabelEncoder.fit(TRAINING)
    state = encoder.state()
    again = LabelEncoder.from_state({**json.loads(json.dumps({**state, "fill": None})), "fill": state["fill"]})
    assert np.array_equal(again.transform(TRAINING), encoder.transform(TRAINING))
    assert again.names == encoder.names


def test_spellings_of_a_level_are_one_category():
    encoder = LabelEncoder.fit(pd.DataFrame({"site": ["101", "114", "101"], "sex": ["F", "M", "f"]}))
    assert encoder.names == ("sex=F", "sex=M", "site=101", "site=114")
    new = pd.DataFrame({"site": [114.0, 101.0], "sex": ["male", " Female"]})
    assert encoder.transform(new).tolist() == [[0, 1, 0, 1], [1, 0, 1, 0]]
