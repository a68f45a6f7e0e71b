package gpucheck

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The limits of the sections are those of the script, so that what it prints is never cut.
func TestLimitsAreTheScripts(t *testing.T) {
	found := map[string]int{"done": 0}
	calls := regexp.MustCompile(`\bsection ([a-z]+) \d+ (\d+) `)
	for _, m := range calls.FindAllStringSubmatch(script, -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil || found[m[1]] != 0 && found[m[1]] != n {
			t.Errorf("%s has %s", m[1], m[2])
		}
		found[m[1]] = n
	}
	if fmt.Sprint(found) != fmt.Sprint(limits) {
		t.Errorf("the script has %v, want %v", found, limits)
	}
}

// What a tenant prints is cut by section, and the rest is compared with a few texts only, so the
// work grows with the length of the output and not with its square.
func TestWorkIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("@begin kernel\n|readable\n")
	for n := 0; b.Len() < MaxOutput; n++ {
		fmt.Fprintf(&b, "|NVRM: Xid (PCI:%012x): 79, pid=1\n", n)
	}
	s := split([]byte(b.String()))
	if n := len(s.get("kernel").text); !s.cut || n > limits["kernel"]+1 {
		t.Errorf("cut %t, %d bytes are kept", s.cut, n)
	}
	var f distinct
	for n := range 100_000 {
		f.add(fmt.Sprint(n))
	}
	if len(f.texts) != maxDistinct || f.more != 100_000-maxDistinct ||
		!strings.HasSuffix(f.listed(), "and 99997 more") {
		t.Errorf("%d texts, %d more, %s", len(f.texts), f.more, f.listed())
	}
	b.Reset()
	for n := 0; b.Len() < MaxOutput; n++ {
		fmt.Fprintf(&b, "@begin s%d\n|x\n", n)
	}
	if s := split([]byte(b.String())); len(s.by) != 0 {
		t.Errorf("%d sections are kept", len(s.by))
	}
	const reason = "<clocks_event_reason_hw_slowdown>Not Active</clocks_event_reason_hw_slowdown>"
	root, err := parseXML([]byte("<nvidia_smi_log><gpu><clocks_event_reasons>" + strings.Repeat(reason, 50_000) +
		"</clocks_event_reasons></gpu><gpu><a>" + strings.Repeat("x", MaxOutput) + "</a></gpu></nvidia_smi_log>"))
	if err != nil {
		t.Fatal(err)
	}
	elements := 0
	root.children[0].each(func(*element) { elements++ })
	if elements > maxPerGPU+1 || len(root.children) != 2 || len(root.children[1].children[0].text) != maxValue {
		t.Errorf("%d elements, %d GPUs", elements, len(root.children))
	}
}

// Each reason is read once. One that repeats the name of another is not looked up by its name.
func TestClocksReadEachReasonOnce(t *testing.T) {
	const doc = "<gpu><clocks_event_reasons><r_hw_slowdown>Not Active</r_hw_slowdown>" +
		"<r_hw_slowdown>Active</r_hw_slowdown></clocks_event_reasons></gpu>"
	e, err := parseXML([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if c := each(CheckClocks, []*element{e}, clocks, ""); c.Verdict != Failed {
		t.Errorf("%+v", c)
	}
}
