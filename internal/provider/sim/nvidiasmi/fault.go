package nvidiasmi

// The faults that a System may have, each named after the GPU check that finds it. A fault is of
// the last GPU.
const (
	FaultGPUCount     = "gpu_count"    // it is missing
	FaultCompute      = "compute"      // it is reported, and no program starts; nothing is printed here
	FaultECC          = "ecc"          // it has uncorrectable memory errors
	FaultRowRemap     = "row_remap"    // a repair of its memory waits for a reset
	FaultPartitioning = "partitioning" // MIG is on
	FaultPCIe         = "pcie"         // its link is narrow
	FaultClocks       = "clocks"       // the hardware slows it down
	FaultNVLink       = "nvlink"       // its links to the first GPU are down
	FaultXid          = "xid"          // the kernel's log has an error; nothing is printed here
)

// Faults lists every fault.
func Faults() []string {
	return []string{
		FaultGPUCount, FaultCompute, FaultECC, FaultRowRemap, FaultPartitioning, FaultPCIe, FaultClocks, FaultNVLink,
		FaultXid,
	}
}

// has reports whether the GPU has a fault.
func (g gpu) has(fault string) bool { return g.Fault == fault && g.index == g.Count-1 }

// unless is a value of a GPU without a fault, or of one that has it.
func unless(fault, faulty, good string) func(gpu) string {
	return func(g gpu) string {
		if g.has(fault) {
			return faulty
		}
		return good
	}
}

// eccUnless is the same for GPUs that have ECC.
func eccUnless(fault, faulty, good string) func(gpu) string {
	return func(g gpu) string { return ifECC(unless(fault, faulty, good)(g))(g) }
}

// links returns how many NVLinks connect two GPUs.
func (g gpu) links(other gpu) int {
	if g.index == 0 && other.has(FaultNVLink) || other.index == 0 && g.has(FaultNVLink) {
		return 0
	}
	return g.nvlinks
}
