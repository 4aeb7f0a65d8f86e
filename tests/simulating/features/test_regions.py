from nextscan.simulating.features.regions import regions


def test_the_default_cohort_has_named_features_with_units_and_sizes():
    features = regions(769)
    names = [region.name for region in features]
    assert len(set(names)) == 769
    assert sum(region.in_nigra for region in features) == 6
    assert not any("parcel" in name for name in names)
    by_name = {region.name: region for region in features}
    assert by_name["Left-Hippocampus"].typical == 3900
    assert by_name["rh_precuneus_thickness"].unit == "mm"
    assert 2 < by_name["rh_precuneus_thickness"].typical < 3.1
    assert by_name["lh_insula_area"].unit == "mm2"
    assert by_name["Left-Lateral-Ventricle"].grows
    assert not by_name["lh_insula_volume"].grows


def test_sides_are_twins_and_the_list_has_no_end():
    by_name = {region.name: region for region in regions(900)}
    assert by_name["lh_cuneus_volume"].twin == by_name["rh_cuneus_volume"].twin
    assert by_name["lh_cuneus_volume"].twin != by_name["lh_cuneus_area"].twin
    assert len(by_name) == 900
