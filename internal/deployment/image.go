package deployment

import (
	"context"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// checkImage returns the account's image as it is now; nil if none is named or it does not exist.
func (s *Service) checkImage(
	ctx context.Context, r db.Reader, account, image id.ID, f *fieldErrors,
) (*provider.Image, error) {
	if image == "" {
		return nil, nil
	}
	i, found, err := s.cfg.Images.Find(ctx, r, account, image)
	if err != nil {
		return nil, err
	}
	if !found {
		f.notFound("imageId", "no image has this id. List yours with GET /images.")
		return nil, nil
	}
	return &provider.Image{
		ID: i.ID, Name: i.Name, URL: i.URL, SHA256: i.SHA256, Format: i.Format, Bytes: i.SizeBytes,
	}, nil
}

// checkImageFits refuses an image that is larger than all drives of an offer's machines together.
func checkImageFits(f *fieldErrors, i *provider.Image, o catalog.Offer) {
	if o.StorageGB > 0 && i.Bytes > int64(o.StorageGB)*1_000_000_000 {
		f.add("imageId", "the image has %d bytes, but machines of offer %s have %d GB of storage. "+
			"Choose a smaller image.", i.Bytes, o.ID, o.StorageGB)
	}
}

// checkImageOffers checks that every offer of a request can be installed with its image, and has
// the image's name be what is installed.
func checkImageOffers(f *fieldErrors, req CreateRequest, c *checked) {
	if req.Image == "" {
		return
	}
	given := req.OperatingSystem != nil
	for _, candidate := range req.Candidates {
		given = given || candidate.OperatingSystem != nil
	}
	if given {
		f.add("operatingSystem", "cannot be combined with imageId. Remove one of the two.")
	}
	for i := range c.offers {
		o := &c.offers[i]
		if !o.offer.Capabilities.CustomImages {
			f.add("imageId", "offer %s of %s cannot install images of your own. Choose an operating system, or an "+
				"offer with capabilities.customImages.", o.offer.ID, o.offer.Provider)
		}
		if c.image != nil {
			o.operatingSystem = c.image.Name
			checkImageFits(f, c.image, o.offer)
		}
	}
}
