package gpucheck_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/gpucheck"
)

// passing are the faults that a machine shows, too, that is still starting, or that a restart of
// the driver may cure. All others are for good.
var passing = []string{
	"remap pending", "channel repair", "retirement pending", "reset v12", "drain v12", "reset v13", "drain v13",
	"GPU lost", "slowdown", "too hot", "power brake", "slowdown v10", "fabric not started", "fabric status",
	"NVLink pair", "NVLinks of a pair", "CUDA does not start", "CUDA finds fewer", "CUDA fails on one",
	"CUDA crashes", "CUDA hangs", "deviceQuery fails", "ports down", "AMD missing",
}

// TestJudge_MayPass: what is worth a second check.
func TestJudge_MayPass(t *testing.T) {
	left := slices.Clone(passing)
	for _, f := range faults {
		r := gpucheck.Judge([]byte(replaceNth(golden(t, f.file), f.old, f.new, f.nth)), gpucheck.LevelQuick, f.want)
		want := slices.Contains(passing, f.name)
		if r.MayPass != want {
			t.Errorf("%s: %t, want %t", f.name, r.MayPass, want)
		}
		left = slices.DeleteFunc(left, func(name string) bool { return name == f.name })
	}
	if len(left) > 0 {
		t.Errorf("no such faults: %v", left)
	}

	const done, hung = "@begin done\n@end done 0\n", "@begin smi\n|x\n@end smi 137\n"
	bus := func(n int) string {
		return "@begin pci\n" + strings.Repeat("|0000:1b:00.0 0x10de 0x2330 0x030200 16 16\n", n) + "@end pci 0\n"
	}
	good := golden(t, h)
	begin := strings.LastIndex(good, "|\t<gpu id=")
	end := strings.LastIndex(good, "|\t</gpu>\n") + len("|\t</gpu>\n")
	seven := good[:begin] + good[end:]
	fewer := strings.Replace(seven, "|0000:22:00.0 0x10de 0x2330 0x030200 16 16\n", "", 1)
	both := strings.Replace(strings.Replace(good, "|init 0\n", "|init 999\n", 1), "<remapped_row_failure>No",
		"<remapped_row_failure>Yes", 1)
	for name, c := range map[string]struct {
		output  string
		verdict gpucheck.Verdict
		want    bool
	}{
		"passed":                         {good, gpucheck.Passed, false},
		"not checked":                    {"", gpucheck.NotChecked, false},
		"one for good and one that may":  {both, gpucheck.Failed, false},
		"nvidia-smi hangs":               {bus(8) + hung + done, gpucheck.Failed, true},
		"nvidia-smi hangs, GPUs missing": {bus(7) + hung + done, gpucheck.Failed, false},
		"no GPU on the bus":              {bus(0) + done, gpucheck.Failed, false},
		"the driver has seven of eight":  {seven, gpucheck.Failed, true},
		"the bus has seven of eight":     {fewer, gpucheck.Failed, false},
	} {
		r := gpucheck.Judge([]byte(c.output), gpucheck.LevelQuick, h100)
		if r.Verdict != c.verdict || r.MayPass != c.want {
			t.Errorf("%s: %s %t, want %s %t: %+v", name, r.Verdict, r.MayPass, c.verdict, c.want, r.Checks)
		}
	}
}
