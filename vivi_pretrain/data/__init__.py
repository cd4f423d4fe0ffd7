"""What batches are made of: shots and labelled images, random numbers, loading ahead, random views."""
