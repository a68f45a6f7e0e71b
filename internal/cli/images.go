package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var imageCol columnsOf[client.Image]

var imageListing = listing[client.Image]{
	id: func(i client.Image) string { return i.ID },
	columns: []column[client.Image]{
		imageCol.text("id", "IMAGE", func(i client.Image) string { return i.ID }),
		imageCol.text("name", "NAME", func(i client.Image) string { return i.Name }),
		imageCol.text("format", "FORMAT", func(i client.Image) string { return string(i.Format) }),
		imageCol.text("sizeBytes", "BYTES", func(i client.Image) string { return fmt.Sprint(i.SizeBytes) }),
		imageCol.text("url", "URL", func(i client.Image) string { return i.URL }),
		imageCol.time("createdAt", "CREATED", func(i client.Image) time.Time { return i.CreatedAt }),
		imageCol.text("sha256", "SHA-256", func(i client.Image) string { return i.SHA256 }).onlyWide(),
	},
	none: "No images. Run 'billet images add --help' to learn what an image needs.",
}

func (t *tool) images() *cobra.Command {
	cmd := &cobra.Command{
		Use: "images", Aliases: []string{"image"}, Short: "Manage your own disk images", Args: cobra.NoArgs,
		Long: `Lists the disk images that you have added. Machines of offers that support it (customImages)
can be installed with them instead of an operating system of the offer.`,
		Example: `  billet images
  billet images add rocky --url https://images.example.com/rocky.qcow2 --file rocky.qcow2
  billet deploy --offer off_… --image rocky`,
	}
	var q client.ImageQuery
	cmd.Flags().StringVar(&q.Sort, "sort", "", sortHelp)
	listAll(t, cmd, imageListing, func(ctx context.Context, c *client.Client) iter.Seq2[client.Image, error] {
		return c.Images.All(ctx, q)
	})
	cmd.AddCommand(t.imageAdd(), t.imageRemove())
	return cmd
}

func (t *tool) imageAdd() *cobra.Command {
	var in client.CreateImage
	var format, file string
	cmd := &cobra.Command{
		Use: "add <name>", Short: "Add an image", Args: cobra.ExactArgs(1),
		Long: `Adds a disk image at a URL. The machine downloads it when it is installed, from a public
address, and starts it only if its size and SHA-256 match. Nothing is uploaded.

The image must be a raw or qcow2 disk with a GUID partition table that starts by UEFI and has
cloud-init, as distributions publish them for clouds. With --file, size and SHA-256 are those of a
copy on this machine.`,
		Example: `  billet images add rocky --url https://images.example.com/rocky.qcow2 --file rocky.qcow2
  billet images add rocky --url https://images.example.com/rocky.img --format raw --sha256 9f86d… --size 10737418240`,
	}
	f := cmd.Flags()
	f.StringVar(&in.URL, "url", "", "`URL` of the file, with https")
	f.StringVar(&format, "format", "qcow2", "`format` of the file: qcow2 or raw")
	f.StringVar(&in.SHA256, "sha256", "", "`SHA-256` of the file in hex")
	f.IntVar(&in.SizeBytes, "size", 0, "size of the file in `bytes`")
	f.StringVar(&file, "file", "", "`file` with the same content, instead of --sha256 and --size")
	cmd.MarkFlagsMutuallyExclusive("file", "sha256")
	cmd.MarkFlagsMutuallyExclusive("file", "size")
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		in.Name, in.Format = args[0], client.ImageFormat(strings.ToLower(format))
		if file != "" {
			var err error
			if in.SHA256, in.SizeBytes, err = measure(t.home(file)); err != nil {
				return err
			}
		}
		i, err := c.Images.Create(ctx, in)
		if err != nil {
			return err
		}
		return printResult(t, i.ID, i, "Added the image %q: %s.", i.Name, i.ID)
	})
}

// measure returns the SHA-256 and the size of a file.
func measure(path string) (sum string, size int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, usageError("--file: %s", err)
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return "", 0, usageError("--file: %s", err)
	}
	return hex.EncodeToString(h.Sum(nil)), int(n), nil
}

func (t *tool) imageRemove() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm <image>", Aliases: []string{"remove", "delete"}, Short: "Delete an image", Args: cobra.ExactArgs(1),
		Long:    "Deletes an image, by ID or name. Machines that have it keep it. The file at its URL is not touched.",
		Example: "  billet images rm rocky",
	}
	yesFlag(cmd, &yes)
	t.completeFirstArg(cmd, imageNames)
	return t.mutating(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		i, err := ownImage(ctx, c, args[0])
		if err != nil {
			return err
		}
		if err := t.confirmDestructive(ctx, yes, fmt.Sprintf("Delete the image %q?", i.Name)); err != nil {
			return err
		}
		if err := c.Images.Delete(ctx, i.ID); err != nil {
			return err
		}
		return printResult(t, i.ID, i, "Deleted the image %q. Machines that have it keep it.", i.Name)
	})
}

// ownImage finds an image by id or name.
func ownImage(ctx context.Context, c *client.Client, ref string) (*client.Image, error) {
	if strings.HasPrefix(ref, "img_") {
		if i, err := c.Images.Get(ctx, ref); !isUnknownID(err) {
			return i, err
		}
	}
	var found []client.Image
	for i, err := range c.Images.All(ctx, client.ImageQuery{}) {
		if err != nil {
			return nil, err
		}
		if i.Name == ref {
			found = append(found, i)
		}
	}
	return resolve("image", ref, found, nil, func(i client.Image) string { return i.ID })
}

func imageNames(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
	items, err := collect(c.Images.All(ctx, client.ImageQuery{}))
	names := make([]cobra.Completion, len(items))
	for n, i := range items {
		names[n] = cobra.CompletionWithDesc(i.Name, i.ID)
	}
	return names, err
}
