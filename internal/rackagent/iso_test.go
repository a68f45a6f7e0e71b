package rackagent

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// testISO is an image as OpenISO sees it, with the place of the parameters at an offset.
func testISO(size, place int) []byte {
	b := bytes.Repeat([]byte{'x'}, size)
	copy(b[16*2048:], "\x01CD001\x01")
	copy(b[16*2048+40:], VolumeID+strings.Repeat(" ", 32-len(VolumeID)))
	copy(b[place:], placeMarker+strings.Repeat(".", placeSize-len(placeMarker)))
	return b
}

func TestISO_HasTheJobsCommandLine(t *testing.T) {
	line, _ := parameters.CommandLine()
	for _, place := range []int{40 << 10, 4<<20 - 100, 4<<20 - placeSize, 4 << 20, 9<<20 - placeSize} {
		base := testISO(9<<20, place)
		iso, err := OpenISO(bytes.NewReader(base), int64(len(base)))
		if err != nil {
			t.Fatalf("%d: %v", place, err)
		}
		r, err := iso.For(parameters)
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Clone(base)
		copy(want[place:], line+strings.Repeat(" ", placeSize-len(line)))
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d: %v; the image differs", place, err)
		}
		for _, from := range []int{place - 10, place, place + 10, place + placeSize - 1, place + placeSize} {
			part := make([]byte, 50)
			n, err := r.ReadAt(part, int64(from))
			if err != nil && err != io.EOF || !bytes.Equal(part[:n], want[from:from+n]) {
				t.Errorf("from %d: %v %q", from, err, part[:n])
			}
		}
		if !bytes.Contains(base, []byte(placeMarker)) {
			t.Error("the base was changed")
		}
		if _, err := iso.For(Parameters{}); err == nil {
			t.Error("parameters that are not valid are accepted")
		}
	}
}

func TestOpenISO_RefusesOtherFiles(t *testing.T) {
	good := testISO(6<<20, 50<<10)
	twice := bytes.Clone(good)
	copy(twice[5<<20:], placeMarker+strings.Repeat(".", placeSize-len(placeMarker)))
	other := bytes.Clone(good)
	copy(other[16*2048+40:], "DEBIAN      ")
	for want, b := range map[string][]byte{
		"not an ISO image":      good[:1000],
		"not the ISO image of":  other,
		"no place for":          bytes.ReplaceAll(good, []byte("..."), []byte(". .")),
		"more than one place":   twice,
		"not the ISO image of ": make([]byte, 1<<20),
	} {
		if _, err := OpenISO(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
