package gpucheck

import (
	"fmt"
	"slices"
	"strings"
)

// tally collects what a check finds on each GPU.
type tally struct {
	name     string
	problems map[Verdict][]problem
	passed   int
}

// problem is a sentence about GPUs, without its subject, such as "needs a reset".
type problem struct {
	says string
	gpus []int
}

func newTally(name string) *tally { return &tally{name: name, problems: map[Verdict][]problem{}} }

// pass counts a GPU on which all is well.
func (t *tally) pass() { t.passed++ }

// add adds a GPU's problem. says has no subject, and reads well after one GPU and after several.
func (t *tally) add(v Verdict, gpu int, format string, args ...any) {
	says := fmt.Sprintf(format, args...)
	list := t.problems[v]
	if i := slices.IndexFunc(list, func(p problem) bool { return p.says == says }); i >= 0 {
		list[i].gpus = append(list[i].gpus, gpu)
		return
	}
	t.problems[v] = append(list, problem{says, []int{gpu}})
}

// maxProblems is how many problems a detail lists.
const maxProblems = 3

// check returns the outcome: the worst that was found, or what passed says.
func (t *tally) check(passed string) Check {
	for _, v := range []Verdict{Failed, Warning, NotChecked} {
		list := t.problems[v]
		if len(list) == 0 {
			continue
		}
		var sentences []string
		for _, p := range list[:min(len(list), maxProblems)] {
			sentences = append(sentences, gpuNames(p.gpus)+": "+p.says+".")
		}
		if more := len(list) - maxProblems; more > 0 {
			sentences = append(sentences, fmt.Sprintf("Other problems: %d.", more))
		}
		return Check{t.name, v, strings.Join(sentences, " ")}
	}
	if t.passed == 0 {
		return Check{t.name, NotChecked, "No GPU reports this."}
	}
	return Check{t.name, Passed, passed}
}

// gpuNames is "GPU 3" or "GPUs 0, 1 and 4".
func gpuNames(list []int) string {
	if len(list) == 1 {
		return fmt.Sprintf("GPU %d", list[0])
	}
	var names []string
	for _, i := range list[:len(list)-1] {
		if len(names) == 16 {
			return fmt.Sprintf("GPUs %s and %d more", strings.Join(names, ", "), len(list)-16)
		}
		names = append(names, fmt.Sprint(i))
	}
	return fmt.Sprintf("GPUs %s and %d", strings.Join(names, ", "), list[len(list)-1])
}

// plural is "1 GPU" or "8 GPUs".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
