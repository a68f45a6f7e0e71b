package gpucheck

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	escapes = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`) // the header is underlined
	gpuName = regexp.MustCompile(`^GPU[0-9]+$`)
	bonded  = regexp.MustCompile(`^NV([0-9]{1,3})$`)
)

// links reads the matrix of `nvidia-smi topo -m`: how many NVLinks connect each GPU with each
// other. It returns nil if the matrix does not show that many GPUs.
func (s sections) links(gpus int) [][]int {
	topo := s.get("topo")
	if !topo.good() {
		return nil
	}
	var out [][]int
	for line := range strings.Lines(escapes.ReplaceAllString(string(topo.text), "")) {
		w := strings.Fields(line)
		if len(w) <= gpus || !gpuName.MatchString(w[0]) || len(w) > 1 && gpuName.MatchString(w[1]) {
			continue
		}
		if w[0] != fmt.Sprintf("GPU%d", len(out)) || w[1+len(out)] != "X" {
			return nil
		}
		row := make([]int, gpus)
		for i := range row {
			if n := bonded.FindStringSubmatch(w[1+i]); n != nil {
				row[i] = number(n[1])
			}
		}
		if out = append(out, row); len(out) == gpus {
			return out
		}
	}
	return nil
}

// inactive returns how many NVLinks of each GPU are down, by `nvidia-smi nvlink -s`.
func (s sections) inactive() map[int]int {
	out, gpu := map[int]int{}, -1
	links := s.get("nvlink")
	if !links.good() {
		return out
	}
	for line := range strings.Lines(string(links.text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "GPU "):
			gpu = number(strings.TrimPrefix(line, "GPU "))
		case strings.HasPrefix(line, "Link ") && strings.Contains(strings.ToLower(line), "inactive"):
			out[gpu]++
		}
	}
	return out
}

// nvlink reports whether the GPUs are connected as their model is meant to be.
func (s sections) nvlink(gpus []GPU) Check {
	if len(gpus) < 2 {
		return Check{CheckNVLink, NotChecked, "The machine does not have several GPUs that could be connected."}
	}
	mesh := machine{gpus: gpus}.mesh()
	links := s.links(len(gpus))
	if links == nil {
		return Check{CheckNVLink, NotChecked, "The machine does not report how its GPUs are connected."}
	}
	most, peers := 0, make([]int, len(gpus))
	for i, row := range links {
		for _, n := range row {
			most = max(most, n)
			if n > 0 {
				peers[i]++
			}
		}
	}
	t := newTally(CheckNVLink)
	down := s.inactive()
	for i := range gpus {
		switch {
		case most == 0 && mesh:
			t.add(Warning, i, "no NVLink connects it with another GPU")
		case most == 0:
			t.add(NotChecked, i, "no NVLink connects it with another GPU")
		case mesh && weakest(links[i], i) < most:
			t.add(Failed, i, "NVLinks are down: %d instead of %d to GPU %d", weakest(links[i], i), most,
				weakestPeer(links[i], i))
		case peers[i] < slices.Max(peers):
			t.add(Warning, i, "NVLinks connect it with fewer GPUs than others")
		case mesh && down[i] > 0:
			t.add(Warning, i, "%s down", plural(down[i], "NVLink"))
		default:
			t.pass()
		}
	}
	return t.check("NVLink connects the GPUs.")
}

// weakestPeer returns the GPU to which GPU i has the fewest links.
func weakestPeer(row []int, i int) int {
	at := -1
	for j, n := range row {
		if j != i && (at < 0 || n < row[at]) {
			at = j
		}
	}
	return at
}

func weakest(row []int, i int) int { return row[weakestPeer(row, i)] }
