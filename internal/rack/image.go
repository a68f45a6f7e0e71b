package rack

import (
	"context"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/rackagent"
)

const (
	// maxImages is how many images there may be.
	maxImages = 100
	// maxImage is how many bytes an image may have.
	maxImage = 1 << 40
)

// Images returns all images, by name.
func (s *Service) Images(ctx context.Context, r db.Reader) ([]Image, error) { return allImages(ctx, r) }

// SetImage enters an image, or replaces the one of that name. It returns INVALID_REQUEST with
// everything that is wrong, and LIMIT_REACHED if there are too many.
func (s *Service) SetImage(ctx context.Context, tx *db.Tx, i Image) (Image, error) {
	i.SHA256, i.CreatedAt = strings.ToLower(i.SHA256), tx.Now
	if err := apierr.Invalid(i.check()).OrNil(); err != nil {
		return Image{}, err
	}
	known, err := allImages(ctx, tx)
	if err != nil {
		return Image{}, err
	}
	if len(known) >= maxImages {
		if _, found, err := findImage(ctx, tx, i.Name); err != nil || !found {
			return Image{}, apierr.Full("machine images", maxImages,
				"There are %d images, which is the maximum. Delete one that is no longer needed.", len(known))
		}
	}
	return i, putImage(ctx, tx, i)
}

func (i Image) check() []apierr.FieldError {
	var f faults
	f = append(f, apierr.CheckName("name", i.Name)...)
	if u, err := url.Parse(i.URL); err != nil || u.Host == "" || u.User != nil || len(i.URL) > 1000 ||
		u.Scheme != "https" && u.Scheme != "http" {
		f.add("url", "must be a URL such as https://images.example.com/ubuntu.qcow2.")
	}
	if b, err := hex.DecodeString(i.SHA256); err != nil || len(b) != 32 {
		f.add("sha256", "must be a SHA-256 in hex: 64 digits from 0 to f.")
	}
	if i.Format != rackagent.Raw && i.Format != rackagent.QCOW2 {
		f.add("format", "must be raw or qcow2.")
	}
	f.within("bytes", i.Bytes, 1, maxImage)
	return f
}

// imageProblems are what a deployment learns of an installation that failed for its image.
var imageProblems = map[rackagent.ErrorCode]string{
	rackagent.ImageUnavailable: "The image could not be downloaded, or not in time.",
	rackagent.ImageChecksum:    "The image's SHA-256 or size is another than was stated.",
	rackagent.ImageInvalid:     "The image is not a disk image of its format with a GUID partition table.",
	rackagent.ImageTooLarge:    "The image is larger than the machine's drive.",
	rackagent.ImageMemory:      "The qcow2 image is larger than the machine's memory. Use a raw image.",
	rackagent.DriveNotFound:    "No drive of the machine is large enough for the image.",
}

// agentFailed begins the detail of a machine whose agent reported an error.
const agentFailed = "the agent failed: "

// ImageProblem returns what a machine's detail says about its image; "" if nothing.
func ImageProblem(detail string) string { return imageProblems[codeOf(detail)] }

// ImageFault reports whether a machine's detail says that the image could be installed on no
// machine.
func ImageFault(detail string) bool {
	return slices.Contains([]rackagent.ErrorCode{
		rackagent.ImageUnavailable, rackagent.ImageChecksum, rackagent.ImageInvalid,
	}, codeOf(detail))
}

func codeOf(detail string) rackagent.ErrorCode {
	text, _ := strings.CutPrefix(detail, agentFailed)
	code, _, _ := strings.Cut(text, ":")
	return rackagent.ErrorCode(code)
}

// ErrNotInstalled means that a machine has nothing that could be switched on: see Refused.
var ErrNotInstalled = errors.New("rack: nothing is installed on the machine")

// bare reports whether nothing that could be started is on a machine that is to be installed
// again.
func bare(ctx context.Context, r db.Reader, m Machine, l Launch) (bool, error) {
	if m.tenancy != Installing || m.installs == 1 || l.Bare {
		return m.tenancy == Refused || m.tenancy == Installing, nil
	}
	j, err := findJob(ctx, r, m.ID)
	return j != nil && !j.Closed && j.Kind == rackagent.Deploy && (j.Attempts > 0 || j.ClaimedAt != nil), err
}

// notReinstalled is what a machine is to its tenant after an installation failed that was not the
// first.
func (m *Machine) notReinstalled(j agentJob, l Launch, now time.Time) {
	switch {
	case j.Attempts > 0 || j.ClaimedAt != nil:
		if l.Image != nil && ImageProblem(m.Detail) != "" {
			m.tenancy = Refused // the tenant's doing, who keeps the machine
		}
		return
	case l.Bare && !m.OverSSH():
		m.tenancy = Refused // as before
	default:
		// No agent was started, so that what is installed is as it was: the tenant keeps it.
		m.tenancy, m.wanted, m.wantedAt, m.watchedAt = Running, WantOn, &now, &now
		if m.OverSSH() {
			m.wanted, m.wantedAt = WantNothing, nil
		}
	}
	m.installs--
}

// RemoveImage deletes an image. What was installed from it stays. It returns NOT_FOUND.
func (s *Service) RemoveImage(ctx context.Context, tx *db.Tx, name string) (Image, error) {
	i, found, err := findImage(ctx, tx, name)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "No machine image has this name. List them with GET "+
			"/operator/machine-images.")
	}
	if err != nil {
		return Image{}, err
	}
	return i, removeImage(ctx, tx, name)
}
