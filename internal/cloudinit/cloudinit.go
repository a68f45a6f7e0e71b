package cloudinit

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxBytes is how long a text may be.
const MaxBytes = 64 << 10

// Check returns what is wrong with a cloud-config text, as the end of a sentence on the field that holds it; "" where nothing is.
func Check(text string) string {
	switch {
	case len(text) > MaxBytes:
		return fmt.Sprintf("has %d bytes; at most %d are allowed.", len(text), MaxBytes)
	case strings.ContainsRune(text, 0):
		return "has a NUL character in it; remove it."
	case strings.TrimRight(firstLine(text), " \t\r") != "#cloud-config": // "#cloud-config-archive" and others are of another form
		return `must be a cloud-config text, which begins with the line "#cloud-config".`
	}
	var m map[string]any
	err, wrong := yaml.Unmarshal([]byte(text), &m), (*yaml.TypeError)(nil)
	switch {
	case errors.As(err, &wrong): // in which the library speaks of Go's types
		line, _, _ := strings.Cut(wrong.Errors[0], ":")
		return fmt.Sprintf("must be a YAML mapping of names to values, each name given once; see %s.", line)
	case err != nil:
		return fmt.Sprintf("is not valid YAML: %s.", strings.TrimPrefix(firstLine(err.Error()), "yaml: "))
	}
	return ""
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
