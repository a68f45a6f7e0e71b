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
	var failed, warnings distinct
	for line := range strings.Lines(string(log.text)) {
		match := xid.FindStringSubmatch(line)
		switch {
		case match != nil:
			n := number(match[2])
			text := fmt.Sprintf("Xid %d on %s", n, match[1])
			switch {
			case slices.Contains(hardwareXids, n):
				failed.add(text)
			case slices.Contains(programXids, n):
				warnings.add(text + " (caused by a program)")
			case slices.Contains(recordXids, n):
				warnings.add(text + " (a repair of memory)")
			default:
				warnings.add(text)
			}
		case strings.Contains(line, "fallen off the bus"):
			failed.add("a GPU has fallen off the PCI bus")
		case strings.Contains(line, "amdgpu") && strings.Contains(strings.ToLower(line), "uncorrectable"):
			failed.add("an uncorrectable error of an AMD GPU")
		case strings.Contains(line, "amdgpu") && strings.Contains(line, "GPU reset"):
			warnings.add("a reset of an AMD GPU")
		case strings.Contains(line, "AER:"):
			warnings.add("an uncorrected error of a PCIe device")
		}
	}
	switch {
	case len(failed.texts) > 0:
		c.Verdict, c.Detail = Failed, "GPU errors since the machine started: "+failed.listed()+"."
	case len(warnings.texts) > 0:
		c.Verdict, c.Detail = Warning, "Errors since the machine started: "+warnings.listed()+"."
	default:
		c.Verdict, c.Detail = Passed, "The kernel's log has no GPU errors since the machine started."
	}
	return c
}

// maxDistinct is how many different texts are told apart. A tenant writes the log, so comparing
// each line with all others would take as long as the tenant likes.
const maxDistinct = 50

// distinct are different texts, and how many lines came after the first maxDistinct of them.
type distinct struct {
	texts []string
	more  int
}

func (f *distinct) add(text string) {
	switch {
	case slices.Contains(f.texts, text):
	case len(f.texts) < maxDistinct:
		f.texts = append(f.texts, text)
	default:
		f.more++
	}
}

func (f *distinct) listed() string { return listedOf(f.texts, len(f.texts)+f.more) }

// listed joins the first texts of a list.
func listed(texts []string) string { return listedOf(texts, len(texts)) }

// listedOf joins the first texts of a list, which has that many in all.
func listedOf(texts []string, all int) string {
	out := strings.Join(texts[:min(len(texts), maxProblems)], ", ")
	if more := all - maxProblems; more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}
