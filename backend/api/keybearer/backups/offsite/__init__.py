"""A copy of the backup volume in an S3 bucket, encrypted here, so that losing the cluster loses no backup."""
