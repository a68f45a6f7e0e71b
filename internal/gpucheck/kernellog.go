package gpucheck

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// programXids are the Xid errors that a faulty program causes on a good GPU.
var programXids = []int{13, 31, 32, 43, 45, 69, 109, 137}

// recordXids report that something was repaired, or that a limit is near.
var recordXids = []int{63, 92, 93, 156, 160}

// hardwareXids are the Xid errors after which a GPU needs a reset or a repair. All others are
// warnings.
var hardwareXids = []int{
	38, 46, 48, 54, 58, 61, 62, 64, 74, 78, 79, 94, 95, 110, 119, 120, 136, 140, 143, 144, 145, 146, 147, 148, 149,
	150, 158, 167, 168,
}

var xid = regexp.MustCompile(`NVRM: Xid \(PCI:([0-9a-fA-F:.]{4,20})\): (\d{1,4})`)

// kernelLog judges the GPU errors in the kernel's log since the machine started.
func (s sections) kernelLog() Check {
	c := Check{CheckKernelLog, NotChecked, "The kernel's log is not readable on this machine."}
	log := s.get("kernel")
	if !log.good() || !strings.Contains(string(log.text), "readable\n") {
		return c
	}
	var failed, warnings []string
	add := func(list *[]string, text string) {
		if !slices.Contains(*list, text) {
			*list = append(*list, text)
		}
	}
	for line := range strings.Lines(string(log.text)) {
		match := xid.FindStringSubmatch(line)
		switch {
		case match != nil:
			n := number(match[2])
			text := fmt.Sprintf("Xid %d on %s", n, match[1])
			switch {
			case slices.Contains(hardwareXids, n):
				add(&failed, text)
			case slices.Contains(programXids, n):
				add(&warnings, text+" (caused by a program)")
			case slices.Contains(recordXids, n):
				add(&warnings, text+" (a repair of memory)")
			default:
				add(&warnings, text)
			}
		case strings.Contains(line, "fallen off the bus"):
			add(&failed, "a GPU has fallen off the PCI bus")
		case strings.Contains(line, "amdgpu") && strings.Contains(strings.ToLower(line), "uncorrectable"):
			add(&failed, "an uncorrectable error of an AMD GPU")
		case strings.Contains(line, "amdgpu") && strings.Contains(line, "GPU reset"):
			add(&warnings, "a reset of an AMD GPU")
		case strings.Contains(line, "AER:"):
			add(&warnings, "an uncorrected error of a PCIe device")
		}
	}
	switch {
	case len(failed) > 0:
		c.Verdict, c.Detail = Failed, "GPU errors since the machine started: "+listed(failed)+"."
	case len(warnings) > 0:
		c.Verdict, c.Detail = Warning, "Errors since the machine started: "+listed(warnings)+"."
	default:
		c.Verdict, c.Detail = Passed, "The kernel's log has no GPU errors since the machine started."
	}
	return c
}

// listed joins the first texts of a list.
func listed(texts []string) string {
	out := strings.Join(texts[:min(len(texts), maxProblems)], ", ")
	if more := len(texts) - maxProblems; more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}
