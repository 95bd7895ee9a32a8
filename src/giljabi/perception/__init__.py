"""What is around the vehicle: detections in, tracks out."""
