"""Ba, Mnih and Kavukcuoglu (2015): several objects in one image, recognised one glimpse after another."""
