"""From images to answers: one image, adaptively or exactly; and answers on disk, ours and any other method's."""
