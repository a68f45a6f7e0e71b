package gpucheck

import (
	_ "embed"
	"fmt"
	"slices"
	"time"
)

// Level says how thorough a check is.
type Level int

// The levels. [Level.Bound] says how long they may take.
const (
	LevelQuick      Level = 1 // what is reported, and whether programs start
	LevelMedium     Level = 2 // minutes of diagnostics
	LevelCommission Level = 3 // up to an hour of diagnostics
)

// Enum lists every level.
func (Level) Enum() []Level { return []Level{LevelQuick, LevelMedium, LevelCommission} }

// valid returns the nearest level.
func (l Level) valid() Level { return min(max(l, LevelQuick), LevelCommission) }

// Bound is the longest time that the script runs: if every tool hangs. A good machine takes seconds
// at level 1.
func (l Level) Bound() time.Duration {
	switch l.valid() {
	case LevelMedium:
		return 35 * time.Minute
	case LevelCommission:
		return 70 * time.Minute
	}
	return 8 * time.Minute
}

//go:embed check.sh
var script string

// Script returns the program that collects what Judge reads, for `sh -s`. It works in dash, bash
// and busybox, as any user.
func Script(l Level) string { return fmt.Sprintf("%s\nmain %d\n", script, l.valid()) }

// MaxOutput is how many bytes of the script's output a caller reads at most. A good machine prints
// less than 1 MiB. Judge ignores what is beyond, and reports that; for this it needs one byte more.
const MaxOutput = 4 << 20

// Expected is what the offer says about the machine. Zero values are not judged.
type Expected struct {
	GPUType  string // as the catalog names it, such as NVIDIA B200
	GPUCount int
	// GPUMemoryGB is the memory of one GPU in decimal GB.
	GPUMemoryGB int
	// Interconnect is the offer's text, such as InfiniBand 3200 Gb/s.
	Interconnect string
}

// Verdict is the outcome of a check, or of all of them.
type Verdict string

// The verdicts.
const (
	Passed     Verdict = "passed"
	Warning    Verdict = "warning"     // it works, but differs from what is usual
	Failed     Verdict = "failed"      // the machine is faulty, or not what was sold
	NotChecked Verdict = "not_checked" // it is not known
)

// Enum lists every verdict.
func (Verdict) Enum() []Verdict { return []Verdict{Passed, Warning, Failed, NotChecked} }

// Check is the outcome for one property of the machine.
type Check struct {
	Name    string  `json:"name" doc:"Name of the check, such as gpu_count, ecc or compute."`
	Verdict Verdict `json:"verdict" doc:"Outcome of the check: passed, warning, failed, or not_checked if it is not known."`
	Detail  string  `json:"detail" doc:"What was found, in plain English."`
}

// GPU is a GPU as the machine reports it.
type GPU struct {
	Index     int    `json:"index" doc:"Number of the GPU in the machine, from 0."`
	Model     string `json:"model" doc:"Model as the driver names it."`
	UUID      string `json:"uuid" doc:"UUID or unique ID of the GPU; empty if the driver reports none."`
	Serial    string `json:"serial" doc:"Serial number of the GPU; empty if the driver reports none."`
	BusID     string `json:"busId" doc:"PCI address of the GPU; empty if the driver reports none."`
	MemoryMiB int    `json:"memoryMib" doc:"Memory of the GPU in MiB; 0 if the driver reports none."`
}

// Report is the outcome of a GPU check.
type Report struct {
	Level         Level   `json:"level" doc:"Level of the check: 1 takes seconds, 2 minutes, 3 up to an hour."`
	Verdict       Verdict `json:"verdict" doc:"Outcome of the whole check: failed if a check failed, not_checked if a required check could not be made, warning or passed."`
	Checks        []Check `json:"checks" doc:"The single checks."`
	GPUs          []GPU   `json:"gpus" doc:"The GPUs that the machine reports."`
	DriverVersion string  `json:"driverVersion" doc:"Version of the GPU driver; empty if unknown."`
	CUDAVersion   string  `json:"cudaVersion" doc:"Latest CUDA version that the driver supports; empty if unknown or not NVIDIA."`
	// MayPass is whether whatever failed may be of a machine that is still starting, or be cured by
	// a restart of the driver.
	MayPass bool `json:"-"`
}

// The names of the checks.
const (
	CheckCollection   = "collection"   // the script came to its end
	CheckGPUCount     = "gpu_count"    // all GPUs are there
	CheckGPUModel     = "gpu_model"    // they are of the type that was sold
	CheckGPUMemory    = "gpu_memory"   // they have its memory
	CheckCompute      = "compute"      // CUDA or ROCm programs start on each
	CheckECC          = "ecc"          // no uncorrectable memory errors
	CheckRowRemap     = "row_remap"    // no repair of memory failed or is pending
	CheckReset        = "reset"        // the driver does not ask for a reset
	CheckKernelLog    = "xid"          // no GPU errors in the kernel's log
	CheckPartitioning = "partitioning" // GPUs are whole
	CheckPower        = "power"        // power limits are the default
	CheckClocks       = "clocks"       // clocks are not slowed down
	CheckPCIe         = "pcie"         // the links have their width
	CheckNVLink       = "nvlink"       // the GPUs are connected to each other
	CheckFabric       = "fabric"       // the NVSwitch fabric is ready
	CheckInfiniBand   = "infiniband"   // the ports are up
	CheckDCGM         = "dcgm"         // DCGM's diagnostics
	CheckNVBandwidth  = "nvbandwidth"  // speed of copies
	CheckNCCL         = "nccl"         // all_reduce_perf
)

// Judge judges the output of Script against what the offer says.
func Judge(output []byte, l Level, want Expected) Report {
	s := split(output)
	r := Report{Level: l.valid(), GPUs: []GPU{}}
	m := s.machine(want)
	if len(m.gpus) > 0 {
		r.GPUs, r.DriverVersion, r.CUDAVersion = m.gpus, m.driver, m.cuda
	}
	r.Checks = append(r.Checks, s.collection())
	r.Checks = append(r.Checks, m.count(s, want), m.model(want), m.memory(want))
	r.Checks = append(r.Checks, m.checks...)
	r.Checks = append(r.Checks, s.kernelLog(), s.infiniBand(want))
	if r.Level >= LevelMedium {
		for _, c := range []Check{s.dcgm(), s.nvbandwidth(m), s.nccl(m)} {
			if m.noDriver && c.Verdict == Failed {
				c.Verdict, c.Detail = NotChecked, "It says nothing, since the GPU driver is not ready."
			}
			r.Checks = append(r.Checks, c)
		}
	}
	r.Verdict = verdict(r.Checks, r.Level)
	r.MayPass = r.Verdict == Failed && !slices.ContainsFunc(r.Checks, func(c Check) bool {
		return c.Verdict == Failed && !m.mayPass(c.Name, s, want)
	})
	return r
}

// verdict is that of the whole report; the package comment has the rule.
func verdict(checks []Check, l Level) Verdict {
	out, stress := Passed, false
	by := map[string]Verdict{}
	for _, c := range checks {
		by[c.Name] = c.Verdict
		switch c.Verdict {
		case Failed:
			return Failed
		case Warning:
			out = Warning
		}
	}
	made := func(name string) bool { return by[name] == Passed || by[name] == Warning }
	stress = made(CheckDCGM) || made(CheckNVBandwidth) || made(CheckNCCL)
	if !made(CheckCollection) || !made(CheckGPUCount) || !made(CheckCompute) || l >= LevelMedium && !stress {
		return NotChecked
	}
	return out
}
