"""Any open_clip model as a bundle that serving reads without torch, proved equal to the original."""
