package node

import (
	"fmt"
	"os"
	"strings"
)

// motd is what an interactive session is greeted with: what this machine is not.
func motd(cfg config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n  %s: a SIMULATED machine\n\n", cfg.Hostname)
	ordered := printable(cfg.OS)
	if ordered != "" {
		fmt.Fprintf(&b, "  Ordered as %s; the programs are those of the host", ordered)
		if host := hostOS(); host != "" {
			fmt.Fprintf(&b, " (%s)", host)
		}
		b.WriteString(", read only.\n")
	}
	if cfg.GPUs.Count > 0 {
		fmt.Fprintf(
			&b,
			"  GPUs: %d x %s, %d MiB each, simulated: none is attached.\n",
			cfg.GPUs.Count,
			printable(cfg.GPUs.Model),
			cfg.GPUs.MemoryMB,
		)
	}
	if missing := missingPrograms(); len(missing) > 0 {
		fmt.Fprintf(&b, "  Not on this host, and so not here: %s.\n", strings.Join(missing, ", "))
	}
	if cfg.Isolated {
		b.WriteString("  No internet, no package manager, no real hardware. What you put under /root, /home, /opt,\n" +
			"  /srv, /var and /usr/local is kept over power-off; volumes are under /mnt.\n\n")
	} else {
		b.WriteString("\n  !! NOT ISOLATED: this host cannot make namespaces. Every command here runs on the host\n" +
			"  !! itself, with all rights of the user who runs the server, and sees all that user's files.\n" +
			"  !! Your home directory is kept over power-off; volumes are under ~/mnt.\n\n")
	}
	return b.String()
}

// hostOS is the name of the host's operating system, or empty.
func hostOS() string {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			return printable(strings.Trim(strings.TrimSpace(name), `"'`))
		}
	}
	return ""
}

// printable keeps text from steering the reader's terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
}
