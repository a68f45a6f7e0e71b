package node

import (
	"testing"

	"github.com/billetcloud/billet/internal/gpucheck"
)

// TestGPUCheck: a machine passes the GPU check, and each fault fails the check after which it is
// named.
func TestGPUCheck(t *testing.T) {
	check := func(t *testing.T, g GPUs) (gpucheck.Report, gpucheck.Verdict) {
		t.Parallel()
		l := newLogin(t)
		spec := testSpec(t, l)
		spec.GPUs = g
		c := connect(t, started(t, spec), l)
		out := run(t, c, "sh -s", gpucheck.Script(gpucheck.LevelQuick)).out
		r := gpucheck.Judge([]byte(out), gpucheck.LevelQuick, gpucheck.Expected{
			GPUType: g.Model, GPUCount: g.Count, GPUMemoryGB: int(g.MemoryMB * 1000 / 1024 / 1000),
			Interconnect: "InfiniBand 3200 Gb/s",
		})
		for _, c := range r.Checks {
			if c.Name == g.Fault {
				return r, c.Verdict
			}
		}
		return r, ""
	}
	for _, g := range []GPUs{
		{Model: "NVIDIA B200", Count: 8, MemoryMB: 180 << 10}, {Model: "NVIDIA L40S", Count: 4, MemoryMB: 48 << 10},
		{Model: "NVIDIA RTX 4090", Count: 1, MemoryMB: 24 << 10}, {Model: "AMD MI300X", Count: 8, MemoryMB: 192 << 10},
		{Model: "Another GPU 5", Count: 2, MemoryMB: 16 << 10},
	} {
		t.Run(g.Model, func(t *testing.T) {
			if r, _ := check(t, g); r.Verdict != gpucheck.Passed || len(r.GPUs) != g.Count || r.DriverVersion == "" {
				t.Errorf("%+v", r)
			}
		})
	}
	for _, fault := range GPUFaults() {
		t.Run(fault, func(t *testing.T) {
			r, v := check(t, GPUs{Model: "NVIDIA H100", Count: 8, MemoryMB: 80 << 10, Fault: fault})
			if r.Verdict != gpucheck.Failed || v != gpucheck.Failed {
				t.Errorf("%s is %s: %+v", fault, v, r)
			}
		})
	}
	for _, fault := range []string{"gpu_count", "compute", "xid"} {
		t.Run("AMD "+fault, func(t *testing.T) {
			r, v := check(t, GPUs{Model: "AMD MI300X", Count: 8, MemoryMB: 192 << 10, Fault: fault})
			if r.Verdict != gpucheck.Failed || v != gpucheck.Failed {
				t.Errorf("%s is %s: %+v", fault, v, r)
			}
		})
	}
}
