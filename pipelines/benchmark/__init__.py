"""Methods against the truth: scan known slices, reconstruct them by each method, score the images, resumably."""
