"""The scenes of ``involution-edu animate``: one table, `SCENES`."""
