package gpucheck

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// configSeverity is DCGM's number for what a setting causes, such as persistence mode, and not a
// fault.
const configSeverity = "5"

// dcgm judges `dcgmi diag -j`. Its documents differ between versions: the name of the outermost
// key, whether a result is of gpu_id, gpu_ids or an entity, and whether a warning is a text, a list
// of texts or of objects.
func (s sections) dcgm() Check {
	c := Check{CheckDCGM, NotChecked, "DCGM is not installed on the machine."}
	run := s.get("dcgm")
	switch {
	case run == nil:
		return c
	case run.hung():
		c.Verdict, c.Detail = Failed, "DCGM's diagnostics did not end in time."
		return c
	}
	document, _ := decode(run.text).(map[string]any)
	root := diagnostic(document)
	if text := clean(cmp.Or(root.text("runtime_error"), anyMap(document).text("runtime_error"))); text != "" {
		c.Detail = sentence("DCGM could not run: " + text)
		return c
	}
	tests := root.tests()
	if len(tests) == 0 {
		c.Detail = sentence("DCGM could not run: " + cmp.Or(run.firstLine(), "it printed nothing"))
		return c
	}
	var failed, warnings, unknown []string
	passed := 0
	for _, test := range tests {
		for _, r := range test.results() {
			switch v, text := r.verdict(), r.says(test.text("name")); {
			case v == Passed:
				passed++
			case v == Failed:
				failed = append(failed, text)
			case v == Warning:
				warnings = append(warnings, text)
			case v == NotChecked:
				unknown = append(unknown, text)
			}
		}
	}
	switch {
	case len(failed) > 0:
		c.Verdict, c.Detail = Failed, sentence("DCGM found faults: "+listed(failed))
	case len(unknown) > 0:
		c.Detail = sentence("The results of DCGM could not be read: " + listed(unknown))
	case len(warnings) > 0:
		c.Verdict, c.Detail = Warning, sentence("DCGM warns: "+listed(warnings))
	case passed == 0:
		c.Detail = "DCGM skipped all its tests, so it supports none on these GPUs."
	default:
		c.Verdict, c.Detail = Passed, fmt.Sprintf("DCGM's diagnostics passed (%s).", plural(passed, "result"))
	}
	return c
}

// diagnostic returns the object that has the tests.
func diagnostic(document map[string]any) anyMap {
	for _, key := range slices.Sorted(maps.Keys(document)) {
		o := anyMap(document).object(key)
		if o["test_categories"] != nil || o["tests"] != nil || o["runtime_error"] != nil {
			return o
		}
	}
	return document
}

// objects returns the objects of a list.
func (a anyMap) objects(key string) (out []anyMap) {
	list, _ := a[key].([]any)
	for _, x := range list {
		if o, is := x.(map[string]any); is {
			out = append(out, o)
		}
	}
	return out
}

func (a anyMap) tests() []anyMap {
	out := a.objects("tests")
	for _, category := range a.objects("test_categories") {
		out = append(out, category.objects("tests")...)
	}
	return out
}

// result is the outcome of a test on a GPU, or on all.
type result struct{ anyMap }

// results returns the outcomes of a test: of each GPU, or its summary if it has only that.
func (a anyMap) results() (out []result) {
	for _, r := range a.objects("results") {
		out = append(out, result{r})
	}
	if summary := a.object("test_summary"); len(out) == 0 && summary != nil {
		out = append(out, result{summary})
	}
	return out
}

// verdict is "" for a test that was skipped.
func (r result) verdict() Verdict {
	switch strings.ToLower(r.text("status")) {
	case "pass":
		return Passed
	case "warn":
		return Warning
	case "skip", "skipped", "not run", "notrun":
		return ""
	case "fail":
		warnings := r.objects("warnings")
		setting := func(w anyMap) bool { return w.text("error_severity") == configSeverity }
		if len(warnings) > 0 && !slices.ContainsFunc(warnings, func(w anyMap) bool { return !setting(w) }) {
			return Warning
		}
		return Failed
	}
	return NotChecked
}

// says names the test, the GPU and the first warning.
func (r result) says(test string) string {
	out := cmp.Or(clean(test), "a test")
	if gpu := clean(cmp.Or(r.text("gpu_id"), r.text("gpu_ids"), r.text("entity_id"))); gpu != "" {
		out += " on GPU " + gpu
	}
	why := r.text("warnings")
	if list, _ := r.anyMap["warnings"].([]any); why == "" && len(list) > 0 {
		switch w := list[0].(type) {
		case string:
			why = w
		case map[string]any:
			why = anyMap(w).text("warning")
		}
	}
	if why = clean(why); why != "" {
		out += " (" + strings.TrimRight(why, ". ") + ")"
	}
	return out
}
