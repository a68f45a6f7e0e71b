package nvidiasmi

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Exit codes that NVIDIA documents.
const (
	exitInvalid     = 2 // an argument or field is not valid
	exitUnsupported = 3 // the operation is not available here
	exitNotFound    = 6 // no such device
)

// request is a command line that was read.
type request struct {
	list, log, xml, help, version bool
	id, display, query            string
	listQuery, listFields         string
	csv                           *csv
	every                         time.Duration
}

// refusal is why a command line is not carried out.
type refusal struct {
	code    int
	message string
}

// Error is the message.
func (r refusal) Error() string { return r.message }

// Run answers a command line and returns the exit code. sleep waits between the rounds of --loop
// and returns false when the program is to end.
func (s System) Run(args []string, stdout, stderr io.Writer, sleep func(time.Duration) bool) int {
	if s.Fault == FaultGPUCount {
		s.Count = max(s.Count-1, 0)
	}
	err := s.run(args, stdout, stderr, sleep)
	if r, is := err.(refusal); is {
		fmt.Fprintln(stdout, r.message)
		return r.code
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func (s System) run(args []string, stdout, stderr io.Writer, sleep func(time.Duration) bool) error {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return s.subcommand(args, stdout, stderr)
	}
	r, err := read(args)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(helps)) {
		if slices.Contains(args, "--help-"+name) {
			helps[name](stdout)
			return nil
		}
	}
	switch {
	case r.help:
		fmt.Fprint(stdout, usage)
		return nil
	case r.version:
		fmt.Fprintf(
			stdout,
			"NVIDIA-SMI version  : %s (simulated)\nNVML version        : %s\nDRIVER version      : %s\nCUDA Version  "+
				"      : %s\n",
			driverVersion,
			strings.Join(strings.Split(driverVersion, ".")[:2], "."),
			driverVersion,
			cudaVersion,
		)
		return nil
	}
	gpus, err := s.selected(r.id)
	if err == nil && len(gpus) == 0 {
		err = errNoDevices
	}
	if err != nil {
		return refusal{exitNotFound, err.Error()}
	}
	fmt.Fprintln(stderr, "nvidia-smi: the GPUs are simulated")
	for {
		if err := s.answer(r, gpus, stdout); err != nil || r.every == 0 {
			return err
		}
		if !sleep(r.every) {
			return nil
		}
	}
}

func (s System) answer(r request, gpus []gpu, w io.Writer) error {
	switch {
	case r.list:
		for _, g := range gpus {
			fmt.Fprintf(w, "GPU %d: %s (UUID: %s)\n", g.index, g.name(), g.uuid())
		}
	case r.query != "":
		r.csv.query(w, split(r.query), gpus)
	case r.listQuery != "":
		r.csv.empty(w, split(r.listFields), lists[r.listQuery])
	case r.xml:
		return s.writeXML(w, gpus, r.display)
	case r.log:
		s.writeLog(w, gpus, r.display)
	default:
		s.table(w, gpus)
	}
	return nil
}

// read reads the options, which take their value after a space or an equals sign.
func read(args []string) (request, error) {
	o := options{args: args}
	for ; o.i < len(o.args); o.i++ {
		o.name, o.value, o.given = strings.Cut(o.args[o.i], "=")
		if err := o.read(); err != nil {
			return o.request, err
		}
	}
	if (o.query != "" || o.listQuery != "") && o.csv == nil {
		return o.request, invalid("\"--format=\" switch is missing. It takes csv[,noheader][,nounits].")
	}
	return o.request, nil
}

// options reads one option after the other into the request.
type options struct {
	request
	args        []string
	i           int // of the option that is read
	name, value string
	given       bool // the value
}

// changing are the options that change a GPU.
var changing = strings.Fields("-pm --persistence-mode -c --compute-mode -pl --power-limit -r --gpu-reset " +
	"-mig --multi-instance-gpu -e --ecc-config -lgc --lock-gpu-clocks -rgc --reset-gpu-clocks " +
	"-ac --applications-clocks -am --accounting-mode")

func (o *options) read() error {
	switch o.name {
	case "-L", "--list-gpus":
		o.list = true
	case "-q", "--query":
		o.log = true
	case "-x", "--xml-format":
		o.xml, o.log = true, true
	case "-h", "--help":
		o.help = true
	case "--version":
		o.version = true
	case "-l", "--loop":
		o.every = 5 * time.Second
		if !o.given && (o.i+1 == len(o.args) || strings.HasPrefix(o.args[o.i+1], "-")) {
			return nil
		}
		return o.interval(time.Second, "seconds")
	case "-lms", "--loop-ms":
		return o.interval(time.Millisecond, "milliseconds")
	case "--help-query-gpu", "--help-query-compute-apps", "--help-query-accounted-apps", "--help-query-retired-pages":
	default:
		if slices.Contains(changing, o.name) {
			return refusal{
				exitUnsupported,
				fmt.Sprintf("Option %s changes a GPU, and these are simulated. Nothing was changed.", o.name),
			}
		}
		return o.readSelection()
	}
	return nil
}

// readSelection reads an option that selects what is printed.
func (o *options) readSelection() error {
	switch o.name {
	case "-i", "--id":
		if !o.take() {
			return invalid("Option %s needs a value. Run nvidia-smi -h for help.", o.name)
		}
		o.id = o.value
	case "-d", "--display":
		if o.take(); unknown(split(o.value), words(displays)) != "" {
			return invalid("Invalid display type %q. It takes %s.", o.value, displays)
		}
		o.display = o.value
	case "--query-gpu":
		if o.take(); unknown(split(o.value), fields) != "" {
			return invalid("Field %q is not a valid field to query.\n", unknown(split(o.value), fields))
		}
		o.query = o.value
	case "--query-compute-apps", "--query-accounted-apps", "--query-retired-pages":
		if o.take(); unknown(split(o.value), lists[o.name]) != "" {
			return invalid("Field %q is not a valid field to query.\n", unknown(split(o.value), lists[o.name]))
		}
		o.listQuery, o.listFields = o.name, o.value
	case "--format":
		o.take()
		c, known := format(o.value)
		if !known {
			return invalid("\"--format=\" switch is missing or invalid. It takes csv[,noheader][,nounits].")
		}
		o.csv = &c
	default:
		return invalid("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n"+
			"(simulated: %q is not supported)", o.args[o.i])
	}
	return nil
}

// take takes the next argument as the value of an option that has none yet, and reports whether
// there is one.
func (o *options) take() bool {
	if !o.given && o.i+1 < len(o.args) {
		o.i++
		o.value, o.given = o.args[o.i], true
	}
	return o.given
}

func (o *options) interval(unit time.Duration, units string) error {
	o.take()
	n, err := strconv.Atoi(o.value)
	if err != nil || n < 1 {
		return invalid("Option %s takes a number of %s.", o.name, units)
	}
	o.every = time.Duration(n) * unit
	return nil
}

func invalid(format string, args ...any) error {
	return refusal{exitInvalid, fmt.Sprintf(format, args...)}
}

func words(list string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Split(list, ",") {
		out[w] = true
	}
	return out
}

func (s System) subcommand(args []string, stdout, stderr io.Writer) error {
	switch args[0] {
	case "topo":
		if slices.Contains(args, "-m") || slices.Contains(args, "--matrix") {
			fmt.Fprintln(stderr, "nvidia-smi: the GPUs are simulated")
			s.topology(stdout)
			return nil
		}
		return refusal{exitInvalid, "nvidia-smi topo (simulated) takes -m, the matrix."}
	case "nvlink":
		fmt.Fprintln(stderr, "nvidia-smi: the GPUs are simulated")
		for _, g := range s.gpus() {
			fmt.Fprintf(stdout, "GPU %d: %s (UUID: %s)\n", g.index, g.name(), g.uuid())
			for i := range g.nvlinks {
				if g.has(FaultNVLink) && i < 2 {
					fmt.Fprintf(stdout, "\t Link %d: <inactive>\n", i)
					continue
				}
				fmt.Fprintf(stdout, "\t Link %d: %s GB/s\n", i, g.linkGBps())
			}
		}
		return nil
	case "mig":
		return refusal{exitNotFound, "No MIG-supported devices found: MIG is disabled on simulated GPUs."}
	}
	return refusal{
		exitInvalid,
		fmt.Sprintf("nvidia-smi (simulated): %q is not supported; there are topo -m and nvlink.", args[0]),
	}
}

// topology is the matrix of topo -m.
func (s System) topology(w io.Writer) {
	gpus := s.gpus()
	cpus := max(s.CPUs, 1)
	affinity := func(node int) string {
		if s.Count < 2 || cpus < 2 {
			return fmt.Sprintf("0-%d", cpus-1)
		}
		return fmt.Sprintf("%d-%d", node*cpus/2, (node+1)*cpus/2-1)
	}
	fmt.Fprint(w, "\t")
	for _, g := range gpus {
		fmt.Fprintf(w, "GPU%d\t", g.index)
	}
	fmt.Fprint(w, "CPU Affinity\tNUMA Affinity\tGPU NUMA ID\n")
	for _, a := range gpus {
		fmt.Fprintf(w, "GPU%d\t", a.index)
		for _, b := range gpus {
			switch {
			case a.index == b.index:
				fmt.Fprint(w, " X \t")
			case a.links(b) > 0:
				fmt.Fprintf(w, "NV%d\t", a.links(b))
			case a.numaNode() == b.numaNode():
				fmt.Fprint(w, "NODE\t")
			default:
				fmt.Fprint(w, "SYS\t")
			}
		}
		fmt.Fprintf(w, "%s\t%d\t\tN/A\n", affinity(a.numaNode()), a.numaNode())
	}
	fmt.Fprint(w, legend)
}

// table is what the program prints without options.
func (s System) table(w io.Writer, gpus []gpu) {
	const rule = "+-----------------------------------------+------------------------+----------------------+\n"
	fmt.Fprintf(w, "%s\n", s.Now().Format(time.ANSIC))
	fmt.Fprint(w, "+-----------------------------------------------------------------------------------------+\n")
	fmt.Fprintf(
		w,
		"| NVIDIA-SMI %-22s Driver Version: %-14s CUDA Version: %-8s |\n",
		driverVersion,
		driverVersion,
		cudaVersion,
	)
	fmt.Fprintf(w, "| %-87s |\n", Note)
	fmt.Fprint(w, rule)
	fmt.Fprint(w, "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |\n"+
		"| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |\n"+
		"|                                         |                        |               MIG M. |\n"+
		strings.ReplaceAll(rule, "-", "=")[:len(rule)])
	for _, g := range gpus {
		name := g.name()
		if len(name) > 29 { // the note above says it, too
			name = name[:29]
		}
		bare := func(v string) string { return strings.Trim(v, "[]") }
		errors, mig := bare(
			fields["ecc.errors.uncorrected.volatile.total"].value(g),
		), bare(
			fields["mig.mode.current"].value(g),
		)
		fan := bare(fields["fan.speed"].value(g))
		if fan != "N/A" {
			fan += "%"
		}
		fmt.Fprintf(w, "| %3d  %-29s   On | %18s Off | %20s |\n", g.index, name, g.busID(), errors)
		fmt.Fprintf(
			w,
			"| %-4s  28C    P0 %23s | %22s | %8s %11s |\n",
			fan,
			fmt.Sprintf(
				"%.0fW / %5dW",
				g.idleWatts(),
				g.watts,
			),
			fmt.Sprintf("0MiB / %6dMiB", g.MemoryMiB),
			"0%",
			"Default",
		)
		fmt.Fprintf(w, "|                                         |                        | %20s |\n%s", mig, rule)
	}
	fmt.Fprint(w, processes)
}

// Note stands in the table.
const Note = "SIMULATED by Billet: no GPU is attached to this machine."

const processes = `
+-----------------------------------------------------------------------------------------+
| Processes:                                                                              |
|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |
|        ID   ID                                                               Usage      |
|=========================================================================================|
|  No running processes found                                                             |
+-----------------------------------------------------------------------------------------+
`

const legend = `
Legend:

  X    = Self
  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)
  NODE = Connection traversing PCIe as well as the interconnect between PCIe Host Bridges within a NUMA node
  NV#  = Connection traversing a bonded set of # NVLinks

The GPUs are simulated, and so are their connections.
`

const usage = `nvidia-smi (simulated by Billet): no GPU is attached to this machine.

    nvidia-smi [-i ID[,ID...]] [-l [SECONDS] | -lms MILLISECONDS]
        -L, --list-gpus                   the GPUs, a line each
        -q, --query [-d WHAT[,WHAT...]]   everything about them; WHAT is one of
                                          ` + displays + `
        -x, --xml-format                  the same as XML
        --query-gpu=FIELD[,FIELD...] --format=csv[,noheader][,nounits]
        --query-compute-apps=... --query-accounted-apps=... --query-retired-pages=...
        --help-query-gpu, --help-query-compute-apps, ...: the fields
        --version
    nvidia-smi topo -m                    how they are connected
    nvidia-smi nvlink -s
`

// helps list the fields of a query.
var helps = map[string]func(io.Writer){
	"query-gpu":            func(w io.Writer) { help(w, "--query-gpu", slices.Collect(maps.Keys(fields))) },
	"query-compute-apps":   func(w io.Writer) { helpList(w, "--query-compute-apps") },
	"query-accounted-apps": func(w io.Writer) { helpList(w, "--query-accounted-apps") },
	"query-retired-pages":  func(w io.Writer) { helpList(w, "--query-retired-pages") },
}

func helpList(w io.Writer, option string) { help(w, option, slices.Collect(maps.Keys(lists[option]))) }

// help lists fields in the form of NVIDIA's own, by which exporters find them: each name in quotes
// at the beginning of a line.
func help(w io.Writer, option string, names []string) {
	slices.Sort(names)
	fmt.Fprintf(w, "List of valid properties to query for the switch %q:\n", option+"=")
	for _, n := range names {
		fmt.Fprintf(w, "\n%q\nSimulated.\n", n)
	}
}
