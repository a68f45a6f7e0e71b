package issue

import (
	"testing"

	"github.com/billetcloud/billet/internal/id"
)

// Only a reference that can be Billet's own identifies what an issue is about.
func TestSighting_subject(t *testing.T) {
	t.Parallel()
	const dep, vol id.ID = "dep_01nddkjc7b1ayf090ch1z5kt0t", "vol_01nddkjc7b1ayf090ch1z5kt0t"
	for _, c := range []struct {
		name     string
		sighting Sighting
		want     string
	}{
		{"orphaned machine", Sighting{Kind: OrphanedMachine, Reference: dep}, string(dep)},
		{"undead machine", Sighting{Kind: UndeadMachine, Reference: dep}, string(dep)},
		{"duplicate machine", Sighting{Kind: DuplicateMachine, Reference: dep}, "up-1"},
		{"unmanaged machine", Sighting{Kind: UnmanagedMachine, Reference: "theirs"}, "up-1"},
		{"orphaned volume", Sighting{Kind: OrphanedVolume, Reference: vol}, string(vol)},
		{"volume without our reference", Sighting{Kind: OrphanedVolume, Reference: "theirs"}, "up-1"},
		{"volume without a reference", Sighting{Kind: OrphanedVolume}, "up-1"},
	} {
		c.sighting.UpstreamID = "up-1"
		if got := c.sighting.subject(); got != c.want {
			t.Errorf("subject of a sighting of an %s = %q, want %q", c.name, got, c.want)
		}
	}
}
