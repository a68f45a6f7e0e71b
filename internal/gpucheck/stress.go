package gpucheck

func (s sections) dcgm() Check {
	return Check{CheckDCGM, NotChecked, "DCGM is not judged yet."}
}
func (s sections) nvbandwidth() Check {
	return Check{CheckNVBandwidth, NotChecked, "nvbandwidth is not judged yet."}
}
func (s sections) nccl(machine) Check {
	return Check{CheckNCCL, NotChecked, "all_reduce_perf is not judged yet."}
}
