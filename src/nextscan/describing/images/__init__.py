"""What images of a cohort are like, one by one and a subject's together."""
