"""The page, the pictures and the tables of the study."""
