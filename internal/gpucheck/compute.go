package gpucheck

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// cudaErrors are those that a machine can be blamed for, by CUDA's numbers.
var cudaErrors = map[int]string{
	-1:  "a GPU returned other data than was written",
	3:   "CUDA could not initialize",
	100: "CUDA finds no GPU",
	101: "a GPU is not valid",
	214: "an uncorrectable memory error",
	219: "NVLink failed",
	700: "an illegal address",
	719: "a program on the GPU failed",
	802: "the NVSwitch fabric manager does not run",
	803: "the driver and its libraries differ in version",
	999: "unknown error",
}

// busyErrors are those of a GPU that a program uses: out of memory, or exclusively.
var busyErrors = map[int]bool{2: true, 46: true, 201: true, 708: true}

// startErrors are those of a machine that is still starting, or whose driver is being installed.
var startErrors = map[int]bool{802: true, 803: true}

// failure is the outcome of a CUDA error that concerns every GPU.
func failure(code int) Check {
	if startErrors[code] {
		return Check{CheckCompute, NotChecked, "No CUDA program starts yet: " + cudaError(code) + "."}
	}
	return Check{CheckCompute, Failed, "No CUDA program starts: " + cudaError(code) + "."}
}

func cudaError(code int) string {
	if text, known := cudaErrors[code]; known {
		return fmt.Sprintf("%s (CUDA error %d)", text, code)
	}
	return fmt.Sprintf("CUDA error %d", code)
}

// cudaRun is what the script's CUDA program printed.
type cudaRun struct {
	noLibrary bool
	error     int // of what is needed for any GPU; 0 for none
	count     int // -1 if it did not come that far
	devices   map[int]int
	finished  bool
}

func readCUDA(text []byte) cudaRun {
	r := cudaRun{count: -1, devices: map[int]int{}}
	for line := range strings.Lines(string(text)) {
		w := strings.Fields(line)
		if len(w) == 0 {
			continue
		}
		n := numbers(w)
		switch {
		case w[0] == "library":
			r.noLibrary = true
		case w[0] == "init" && len(n) == 1:
			r.error = cmp.Or(r.error, n[0])
		case w[0] == "count" && len(n) == 2:
			r.error, r.count = cmp.Or(r.error, n[0]), n[1]
		case w[0] == "device" && len(n) == 2 && n[0] >= 0 && n[0] < maxGPUs:
			r.devices[n[0]] = n[1]
		case w[0] == "end":
			r.finished = true
		}
	}
	return r
}

// check judges what each GPU returned.
func (r cudaRun) check() Check {
	t := newTally(CheckCompute)
	for _, i := range slices.Sorted(maps.Keys(r.devices)) {
		switch code := r.devices[i]; {
		case code == 0:
			t.pass()
		case startErrors[code]:
			t.add(NotChecked, i, "no CUDA program can use it yet: %s", cudaError(code))
		case busyErrors[code]:
			t.add(NotChecked, i, "a program uses it, so CUDA could not be tried")
		default:
			t.add(Failed, i, "no CUDA program can use it: %s", cudaError(code))
		}
	}
	return t.check("CUDA programs can use each GPU.")
}

// cuda reports whether a CUDA program starts and can use each of the GPUs. On some machines the
// driver reports every GPU, and yet no program starts.
func (s sections) cuda(gpus int) Check {
	outcome := func(v Verdict, format string, args ...any) Check {
		return Check{CheckCompute, v, fmt.Sprintf(format, args...)}
	}
	const unknown = "Whether CUDA programs start is unknown: "
	if q := s.get("devicequery"); q != nil {
		return s.deviceQuery(q, gpus)
	}
	run := s.get("cuda")
	if run == nil {
		return outcome(NotChecked, unknown+"the machine has neither Python 3 nor deviceQuery.")
	}
	r := readCUDA(run.text)
	switch {
	case run.hung():
		return outcome(Failed, "A CUDA program did not start in time.")
	case r.noLibrary:
		return outcome(NotChecked, unknown+"the driver's CUDA library is not installed.")
	case r.error != 0:
		return failure(r.error)
	case r.count < 0:
		return outcome(NotChecked, unknown+"the test could not run.")
	case r.count < gpus:
		return outcome(Failed, "CUDA programs can use %d of %s.", r.count, plural(gpus, "GPU"))
	}
	c := r.check()
	if c.Verdict != Failed && (!run.good() || !r.finished || len(r.devices) < gpus) {
		return outcome(Failed, "A CUDA program ended while it was using the GPUs.")
	}
	return c
}

// numbers reads the words after the first, nil if one is no number.
func numbers(words []string) []int {
	var out []int
	for i, w := range words {
		if i == 0 {
			continue
		}
		n, err := strconv.Atoi(w)
		if err != nil {
			return nil
		}
		out = append(out, n)
	}
	return out
}

var (
	detected = regexp.MustCompile(`Detected (\d{1,4}) CUDA Capable device`)
	returned = regexp.MustCompile(`returned (\d{1,4})\b`)
)

// deviceQuery judges by NVIDIA's sample of that name.
func (s sections) deviceQuery(run *section, gpus int) Check {
	c := Check{CheckCompute, NotChecked,
		"Whether CUDA programs start is unknown: the output of deviceQuery could not be read."}
	text := string(run.text)
	found := detected.FindStringSubmatch(text)
	switch {
	case run.hung():
		c.Verdict, c.Detail = Failed, "A CUDA program did not start in time."
	case returned.MatchString(text):
		return failure(number(returned.FindStringSubmatch(text)[1]))
	case found != nil && number(found[1]) < gpus:
		c.Verdict = Failed
		c.Detail = fmt.Sprintf("CUDA programs can use %s of %s.", found[1], plural(gpus, "GPU"))
	case found != nil && run.good() && strings.Contains(text, "Result = PASS"):
		c.Verdict, c.Detail = Passed, "CUDA programs can use each GPU."
	case strings.Contains(text, "Result = FAIL"):
		c.Verdict, c.Detail = Failed, "No CUDA program starts."
	}
	return c
}
