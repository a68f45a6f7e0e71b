package cli

import (
	"strings"

	"golang.org/x/term"
)

// plotWidth returns the width of a plot next to text of that width, or 0 if there is no space. Only
// terminals and -o wide get plots.
func (t *tool) plotWidth(beside int) int {
	const least, most = 10, 60
	width, _, err := term.GetSize(int(t.Out.Fd()))
	switch {
	case err != nil && t.format == "wide":
		return most
	case err != nil || width-beside < least:
		return 0
	}
	return min(width-beside, most)
}

// bar draws a bar of part relative to largest, in eighths of a column.
func bar(part, largest float64, width int) string {
	if part <= 0 || largest <= 0 {
		return ""
	}
	eighths := max(1, int(part/largest*float64(width)*8+0.5)) // every positive value is visible
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}

// spark draws values as one line, the lowest as ▁ and the highest as █. Negative values are gaps.
func spark(values []float64) string {
	lowest, highest, any := 0.0, 0.0, false
	for _, v := range values {
		if v < 0 {
			continue
		}
		if !any {
			lowest, highest, any = v, v, true
		}
		lowest, highest = min(lowest, v), max(highest, v)
	}
	blocks := []rune("▁▂▃▄▅▆▇█")
	line := make([]rune, len(values))
	for i, v := range values {
		switch {
		case v < 0:
			line[i] = '·'
		case highest == lowest:
			line[i] = blocks[3]
		default:
			line[i] = blocks[int((v-lowest)/(highest-lowest)*float64(len(blocks)-1)+0.5)]
		}
	}
	return string(line)
}
