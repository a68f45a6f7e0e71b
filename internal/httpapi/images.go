package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/osimage"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rest"
)

// images are the disk images that tenants bring themselves.
type images struct {
	db  *db.DB
	svc *osimage.Service
}

func (h images) routes(r *rest.Router) {
	const all, one = Base + "/images", Base + "/images/{id}"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listImages", Tag: tagImages, Scope: string(account.ReadDeployments),
		Summary: "List images", Description: "Newest first by default.",
	}, h.list)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all, ID: "createImage", Tag: tagImages,
		Scope: string(account.WriteDeployments), Status: http.StatusCreated, Summary: "Add an image",
		Description: "A raw or qcow2 disk image with a GUID partition table, UEFI and cloud-init, for offers with " +
			"`capabilities.customImages`. The machine downloads it when it is installed, from a public address, and " +
			"starts it only if its size and SHA-256 match. An image cannot be changed.",
		Errors: []apierr.Code{apierr.Conflict, apierr.LimitReached},
	}, h.create)
	rest.ReadVersioned(r, rest.Operation{
		Method: http.MethodGet, Path: one, ID: "getImage", Tag: tagImages, Scope: string(account.ReadDeployments),
		Summary: "Get an image",
	}, h.get)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: one, ID: "deleteImage", Tag: tagImages,
		Scope:   string(account.WriteDeployments),
		Summary: "Delete an image", Description: "Machines that have it keep it. Returns the deleted image.",
	}, h.delete)
}

type imagePath struct {
	ID id.ID `path:"id" doc:"Id of the image, img_…"`
}

type createImage struct {
	Body struct {
		Name      string               `json:"name" minLength:"1" maxLength:"64" example:"rocky-cuda" doc:"1 to 64 characters, unique in the account."`
		URL       string               `json:"url" minLength:"1" maxLength:"2000" example:"https://images.example.com/rocky-cuda.qcow2" doc:"Where the machine downloads the file: https, at a public address."`
		SHA256    string               `json:"sha256" minLength:"64" maxLength:"64" example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" doc:"SHA-256 of the file in hex."`
		Format    provider.ImageFormat `json:"format" example:"qcow2" doc:"raw or qcow2. A qcow2 file is kept in the machine's memory while it is installed."`
		SizeBytes int64                `json:"sizeBytes" example:"618925568" doc:"Size of the file in bytes, at most 200 GB."`
	}
}

func (h images) list(
	ctx context.Context, c *rest.Call, in *rest.ListQuery, p db.Page,
) ([]osimage.Image, db.Listed, error) {
	return h.svc.List(ctx, h.db, c.Caller.Account, in.NameFilter(), in.Order(), p)
}

func (h images) create(ctx context.Context, tx *db.Tx, c *rest.Call, in *createImage) (osimage.Image, error) {
	b := &in.Body
	i, err := h.svc.Create(ctx, tx, c.Caller.Account, osimage.Fields{
		Name: b.Name, URL: b.URL, SHA256: b.SHA256, Format: b.Format, SizeBytes: b.SizeBytes,
	}, creatorOf(c))
	c.Created(i.ID)
	return i, err
}

func (h images) get(ctx context.Context, r db.Reader, c *rest.Call, in *imagePath) (osimage.Image, error) {
	return h.svc.Get(ctx, r, c.Caller.Account, in.ID)
}

func (h images) delete(ctx context.Context, tx *db.Tx, c *rest.Call, in *imagePath) (osimage.Image, error) {
	i, err := h.svc.Delete(ctx, tx, c.Caller.Account, in.ID)
	c.Change.Name = i.Name
	return i, err
}
