package volume

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/provider"
)

// KindWatch is the job that compares all volumes of one provider with ours.
const KindWatch job.Kind = "volume-watch"

const (
	// watchEvery is how often a provider's list of volumes is compared with ours.
	watchEvery = 5 * time.Minute
	// verified is how many volumes that should not be there are asked for themselves by one look.
	verified = 20
)

// watched are the kinds of issues that Watch reports.
var watched = []issue.Kind{issue.OrphanedVolume}

// StartWatching leaves a job behind for each provider with volumes that compares them with ours for ever.
func (s *Service) StartWatching(ctx context.Context) error {
	return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, p := range s.c.Providers.All() {
			if _, keeps := p.(provider.VolumeProvider); !keeps {
				continue
			}
			if err := s.c.Jobs.Enqueue(ctx, tx, job.Nobody, KindWatch, job.Subject("provider", p.Info().Slug), tx.Now); err != nil {
				return err
			}
		}
		return nil
	})
}

// Watch compares the volumes that a provider has with ours. One that was deleted, or given up while it was made, and is
// there all the same is deleted again. One that nobody here ever had holds somebody's data: it becomes a issue, and only an
// operator has it deleted.
//
// Our records are read after the list: a volume's row is committed before the provider is asked for it.
func (s *Service) Watch(ctx context.Context, subject id.ID) (job.Outcome, error) {
	slug := strings.TrimPrefix(string(subject), "provider/")
	p, _ := s.c.Providers.Get(slug)
	v, keeps := p.(provider.VolumeProvider)
	if !keeps {
		return job.Done(), nil // taken out of the configuration
	}
	ask, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	listed, err := v.Volumes(ask)
	if err != nil {
		return job.Outcome{}, fmt.Errorf("list the volumes of %s: %w", slug, err)
	}
	again := job.At(s.c.Clock.Now().Add(watchEvery))
	found, deleted, err := s.compare(ctx, slug, listed)
	if err != nil {
		return job.Outcome{}, err
	}
	deleted = slices.DeleteFunc(deleted[:min(verified, len(deleted))], func(volume id.ID) bool { // a list may be older than the end
		_, err := v.Volume(ask, volume)
		return err != nil
	})
	if len(found)+len(deleted) == 0 {
		live, err := s.c.Issues.Live(ctx, s.c.DB, slug, watched)
		if err != nil || !live {
			return again, err
		}
	}
	return again, s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		reopened, err := reopen(ctx, tx, slug, deleted)
		if err != nil {
			return err
		}
		all := slices.Clone(found)
		for _, volume := range reopened {
			all = append(all, issue.Sighting{Kind: issue.OrphanedVolume, Reference: volume.id, Volume: volume.id, Detail: "The volume is there although it was deleted; it is deleted again."})
			if err := s.c.Jobs.Enqueue(ctx, tx, volume.account, KindVolume, volume.id, tx.Now); err != nil {
				return err
			}
		}
		return s.c.Issues.Report(ctx, tx, slug, watched, all)
	})
}

// compare returns what nobody owns, and those that were deleted here and are on the list.
func (s *Service) compare(ctx context.Context, slug string, listed []provider.Volume) (found []issue.Sighting, deleted []id.ID, err error) {
	upstream := map[id.ID]string{}
	for _, v := range listed {
		if v.Reference.Valid(id.Volume) {
			upstream[v.Reference] = v.ID
			continue
		}
		found = append(found, issue.Sighting{
			Kind: issue.OrphanedVolume, UpstreamID: v.ID, Reference: v.Reference,
			Detail: "The provider has a volume that Billet did not make. It may be somebody else's in the same account, and is left alone.",
		})
	}
	ours, err := liveAt(ctx, s.c.DB, slug)
	if err != nil {
		return nil, nil, err
	}
	for _, v := range ours {
		delete(upstream, v)
	}
	var strays []id.ID
	for reference := range upstream {
		strays = append(strays, reference)
	}
	slices.Sort(strays)
	known, err := byID(ctx, s.c.DB, strays)
	if err != nil {
		return nil, nil, err
	}
	for _, reference := range strays {
		o := issue.Sighting{Kind: issue.OrphanedVolume, UpstreamID: upstream[reference], Reference: reference, Volume: reference}
		switch r, exists := known[reference]; {
		case !exists:
			o.Volume, o.Endable, o.Detail = "", true, "The volume has a reference like ours, and there is no such volume here. It may hold data."
		case r.provider != slug:
			o.Detail = "The volume has the reference of a volume here whose provider is " + r.provider + "."
		case r.status == StatusFailed && r.availableAt != nil:
			o.Endable, o.Detail = true, "The provider did not know this volume for a while, and its tenant was told that it is lost. It may hold data."
		case r.cleanUntil != nil: // it is being deleted
			o.Known = true
		default:
			deleted = append(deleted, reference)
			continue
		}
		found = append(found, o)
	}
	return found, deleted, nil
}
