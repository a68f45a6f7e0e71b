package volume

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
)

const (
	// watchEvery is how often a provider's list of volumes is compared with the rows.
	watchEvery = 5 * time.Minute
	// maxVerified is how many volumes that should not exist one run asks for individually.
	maxVerified = 20
)

// watchedKinds are the kinds of issues that Watch reports.
var watchedKinds = []issue.Kind{issue.OrphanedVolume}

// StartWatching enqueues a periodic job for each provider with volumes, or for each of those with
// the slugs, that compares them with the rows.
func (s *Service) StartWatching(ctx context.Context, slugs ...string) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, p := range s.cfg.Providers.Chosen(slugs) {
			if _, has := p.(provider.VolumeProvider); !has {
				continue
			}
			subject := job.Subject("provider", p.Info().Slug)
			if err := s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindWatch, subject, tx.Now); err != nil {
				return err
			}
		}
		return nil
	})
}

// Watch compares the volumes that a provider has with the rows. One that exists although it was
// deleted, or although its creation was abandoned, is deleted again. One without a row may hold
// data of another system: it becomes an issue, and only an operator has it deleted.
//
// The rows are read after the list: a volume's row is committed before the provider is asked for
// it.
func (s *Service) Watch(ctx context.Context, subject id.ID) (job.Outcome, error) {
	slug := strings.TrimPrefix(string(subject), "provider/")
	p, configured := s.cfg.Providers.Get(slug)
	if !configured {
		return s.cfg.Catalog.Unknown(ctx, slug)
	}
	v, has := p.(provider.VolumeProvider)
	if !has {
		return job.Done(), nil
	}
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	call, done := provider.Begin(ask, p, provider.CallVolumes)
	listed, err := v.Volumes(call)
	done(err)
	if err != nil {
		return job.Outcome{}, fmt.Errorf("list the volumes of %s: %w", slug, err)
	}
	again := job.At(s.cfg.Clock.Now().Add(watchEvery))
	found, err := s.compareWithRows(ctx, slug, listed)
	if err != nil {
		return job.Outcome{}, err
	}
	// A list may be older than the end of a volume.
	outlived := slices.DeleteFunc(found.outlived[:min(maxVerified, len(found.outlived))], func(volume id.ID) bool {
		_, err := v.Volume(ask, volume)
		return err != nil
	})
	if len(found.issues)+len(outlived) == 0 {
		live, err := s.cfg.Issues.Live(ctx, s.cfg.DB, slug, watchedKinds)
		if err != nil || !live {
			return again, err
		}
	}
	return again, s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.applyComparison(ctx, tx, slug, found.issues, outlived)
	})
}

// applyComparison reports the issues, and has the volumes that outlived their end deleted again.
func (s *Service) applyComparison(
	ctx context.Context, tx *db.Tx, slug string, issues []issue.Sighting, outlived []id.ID,
) error {
	reopened, err := reopen(ctx, tx, slug, outlived)
	if err != nil {
		return err
	}
	for _, v := range reopened {
		issues = append(issues, issue.Sighting{
			Kind: issue.OrphanedVolume, Reference: v.id, Volume: v.id,
			Detail: "The volume still exists although it was deleted. Billet deletes it again.",
		})
		if err := s.cfg.Jobs.Enqueue(ctx, tx, v.account, KindVolume, v.id, tx.Now); err != nil {
			return err
		}
	}
	return s.cfg.Issues.Report(ctx, tx, slug, watchedKinds, issues)
}

// comparison is what differs between a provider's volumes and the rows.
type comparison struct {
	issues   []issue.Sighting
	outlived []id.ID // volumes that were deleted and are on the list
}

func (s *Service) compareWithRows(ctx context.Context, slug string, listed []provider.Volume) (comparison, error) {
	ours, err := liveAt(ctx, s.cfg.DB, slug)
	if err != nil {
		return comparison{}, err
	}
	strays := map[id.ID]string{} // and their upstream ids
	for _, v := range listed {
		if v.Reference.Valid(id.Volume) {
			strays[v.Reference] = v.ID
		}
	}
	for _, v := range ours {
		delete(strays, v)
	}
	rows, err := byID(ctx, s.cfg.DB, slices.Sorted(maps.Keys(strays)))
	if err != nil {
		return comparison{}, err
	}
	return compare(slug, listed, strays, rows), nil
}

// compare decides which volumes are issues and which are deleted again. strays are those with a
// reference of Billet's that no volume should have now; rows are what the database knows of them.
// It depends on nothing but its arguments.
func compare(slug string, listed []provider.Volume, strays map[id.ID]string, rows map[id.ID]record) (c comparison) {
	for _, v := range listed {
		if !v.Reference.Valid(id.Volume) {
			c.issues = append(c.issues, issue.Sighting{
				Kind: issue.OrphanedVolume, UpstreamID: v.ID, Reference: v.Reference,
				Detail: "Billet did not create this volume. It may belong to another system in the same " +
					"provider account, so Billet leaves it alone.",
			})
		}
	}
	for _, reference := range slices.Sorted(maps.Keys(strays)) {
		o := issue.Sighting{
			Kind: issue.OrphanedVolume, UpstreamID: strays[reference], Reference: reference, Volume: reference,
		}
		switch r, exists := rows[reference]; {
		case !exists:
			o.Volume, o.Endable = "", true
			o.Detail = "The volume has a Billet reference, but no such volume exists here. It may hold data."
		case r.provider != slug:
			o.Detail = "The volume has the reference of a volume here whose provider is " + r.provider + "."
		case r.status == StatusFailed && r.availableAt != nil:
			o.Endable = true
			o.Detail = "The provider lost this volume for a while, and its tenant was told so. It may hold data."
		case r.cleanUntil != nil: // it is being deleted
			o.Known = true
		default:
			c.outlived = append(c.outlived, reference)
			continue
		}
		c.issues = append(c.issues, o)
	}
	return c
}
