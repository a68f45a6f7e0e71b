package rack

import (
	"context"
	"encoding/hex"
	"net/url"
	"strings"

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
	rackagent.ImageUnavailable: "The image could not be downloaded.",
	rackagent.ImageChecksum:    "The image's SHA-256 or size is another than was stated.",
	rackagent.ImageInvalid:     "The image is not a disk image of its format with a GUID partition table.",
	rackagent.ImageTooLarge:    "The image is larger than the machine's drive.",
}

// agentFailed begins the detail of a machine whose agent reported an error.
const agentFailed = "the agent failed: "

// ImageProblem returns what a machine's detail says about its image; "" if nothing.
func ImageProblem(detail string) string {
	text, _ := strings.CutPrefix(detail, agentFailed)
	code, _, _ := strings.Cut(text, ":")
	return imageProblems[rackagent.ErrorCode(code)]
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
