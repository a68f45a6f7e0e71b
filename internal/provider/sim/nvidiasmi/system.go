package nvidiasmi

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Versions that the program states. They are of a real driver, because programs compare them.
const (
	driverVersion = "570.195.03"
	cudaVersion   = "12.8"
)

// System is the machine that the program describes.
type System struct {
	// Machine makes serial numbers and UUIDs that stay the same over restarts.
	Machine string
	// Model is the GPU's name, as in "NVIDIA B200".
	Model string
	Count int
	// MemoryMiB is of one GPU.
	MemoryMiB int64
	// CPUs is for the affinity that the topology shows.
	CPUs int
	// Fault is one of [Faults], or empty.
	Fault string           `json:",omitempty"`
	Now   func() time.Time `json:"-"`
}

// facts are what a model has and the offer does not say: public data sheets and driver tables.
type facts struct {
	match      string // in the model's name
	brand      string
	arch       string
	capability string
	deviceID   string // PCI device and vendor
	watts      int    // default power limit
	minWatts   int
	smMHz      int // highest clocks
	memoryMHz  int
	nvlinks    int // between any two; 0 for none
	pcieGen    int
	ecc        bool
	passive    bool // without fans of its own
}

// models is searched in order. The last is for what is in none.
var models = []facts{
	{"B300", "NVIDIA", "Blackwell", "10.3", "", 1100, 200, 2032, 3996, 18, 6, true, true},
	{"B200", "NVIDIA", "Blackwell", "10.0", "0x290110DE", 1000, 200, 1965, 3996, 18, 5, true, true},
	{"H200", "NVIDIA", "Hopper", "9.0", "0x233510DE", 700, 200, 1980, 3201, 18, 5, true, true},
	{"H100", "NVIDIA", "Hopper", "9.0", "0x233010DE", 700, 200, 1980, 2619, 18, 5, true, true},
	{"A100", "NVIDIA", "Ampere", "8.0", "0x20B210DE", 400, 100, 1410, 1593, 12, 4, true, true},
	{"L40S", "NVIDIA", "Ada Lovelace", "8.9", "0x26B910DE", 350, 100, 2520, 9001, 0, 4, true, true},
	{"L4", "NVIDIA", "Ada Lovelace", "8.9", "0x27B810DE", 72, 40, 2040, 6251, 0, 4, true, true},
	{"RTX 4090", "GeForce", "Ada Lovelace", "8.9", "0x268410DE", 450, 150, 3105, 10501, 0, 4, false, false},
	{"RTX 5090", "GeForce", "Blackwell", "12.0", "0x2B8510DE", 575, 400, 3090, 14001, 0, 5, false, false},
	{"", "NVIDIA", "Unknown", "", "", 300, 100, 1500, 2000, 0, 4, true, true},
}

func (s System) facts() facts {
	for _, m := range models {
		if strings.Contains(strings.ToUpper(s.Model), m.match) {
			return m
		}
	}
	return models[len(models)-1]
}

// gpu is one of the machine's GPUs.
type gpu struct {
	System
	facts
	index int
}

func (s System) gpus() []gpu {
	all := make([]gpu, s.Count)
	for i := range all {
		all[i] = gpu{s, s.facts(), i}
	}
	return all
}

// name never goes without saying what it is.
func (g gpu) name() string { return g.Model + " (simulated)" }

func (g gpu) hash() string {
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s/%d", g.Machine, g.index)))
}

func (g gpu) uuid() string {
	h := g.hash()
	return fmt.Sprintf("GPU-%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:32])
}

// serial is 13 digits, as real ones are.
func (g gpu) serial() string {
	n := 0
	for _, c := range []byte(g.hash()[:13]) {
		n = n*10 + int(c)%10
	}
	return fmt.Sprintf("%013d", n)
}

// bus is the number of the GPU's PCI bus.
func (g gpu) bus() int { return 0x1B + 0x10*g.index%0xE0 + g.index/14 }

func (g gpu) busID() string { return fmt.Sprintf("00000000:%02X:00.0", g.bus()) }

// reserved is what the driver keeps of the memory.
func (g gpu) reservedMiB() int64 { return min(g.MemoryMiB, 600) }

func (g gpu) idleWatts() float64 { return float64(g.watts) / 10 }

// numaNode is 0 for the first half of several GPUs, 1 for the second.
func (g gpu) numaNode() int {
	if g.Count > 1 && g.index >= g.Count/2 {
		return 1
	}
	return 0
}

var errNoDevices = errors.New("No devices were found") // as NVIDIA's program says it

// linkGBps is the speed of one NVLink in each direction.
func (g gpu) linkGBps() string {
	switch g.arch {
	case "Blackwell":
		return "53.125"
	case "Hopper":
		return "26.562"
	}
	return "25"
}

// selected returns the GPUs that -i names: indexes, UUIDs, bus ids or serial numbers, with commas.
func (s System) selected(which string) ([]gpu, error) {
	all := s.gpus()
	if which == "" {
		return all, nil
	}
	var out []gpu
	for _, want := range strings.Split(which, ",") {
		found := false
		for _, g := range all {
			short := strings.TrimPrefix(g.busID(), "0000")
			if want == fmt.Sprint(g.index) || want == g.uuid() || want == g.serial() ||
				strings.EqualFold(want, g.busID()) || strings.EqualFold(want, short) {
				out, found = append(out, g), true
			}
		}
		if !found {
			return nil, errNoDevices
		}
	}
	return out, nil
}
