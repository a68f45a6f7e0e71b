package gpucheck

import (
	"fmt"
	"strings"
)

// infiniBand judges the InfiniBand ports, which only an offer promises that names them. Servers
// have spare ports without a cable, so a part of them may be down.
func (s sections) infiniBand(want Expected) Check {
	c := Check{CheckInfiniBand, NotChecked, "The offer has no InfiniBand."}
	if !strings.Contains(strings.ToLower(want.Interconnect), "infiniband") {
		return c
	}
	ports := s.get("ports")
	if !ports.good() {
		c.Detail = "Linux shows no InfiniBand device, so its ports are unknown. A driver may be missing."
		return c
	}
	all, up, speed := 0, 0, 0
	for line := range strings.Lines(string(ports.text)) {
		f := strings.Split(strings.TrimSpace(line), ";")
		if len(f) != 5 || f[1] != "InfiniBand" {
			continue
		}
		if all++; strings.Contains(f[2], "ACTIVE") && strings.Contains(f[3], "LinkUp") {
			up++
			speed = min(speed+number(f[4]), 1_000_000)
		}
	}
	switch {
	case all == 0:
		c.Detail = "Linux shows no InfiniBand port, so it is unknown. A driver may be missing."
	case up == 0:
		c.Verdict, c.Detail = Failed, fmt.Sprintf("None of %s is active.", plural(all, "InfiniBand port"))
	case up < all:
		c.Verdict = Warning
		c.Detail = fmt.Sprintf("%d of %s are active, with %d Gb/s together.", up, plural(all, "InfiniBand port"), speed)
	default:
		c.Verdict, c.Detail = Passed, fmt.Sprintf("%s active, with %d Gb/s.", plural(up, "InfiniBand port"), speed)
	}
	return c
}
