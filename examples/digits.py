"""A classifier of handwritten digits: scikit-learn's bundled data set of 1,797 images of 8 by 8 pixels."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC


class Classifier:
    """Trained on one half of the images; the other half is for testing."""

    def __init__(self, seed):
        images, labels = load_digits(return_X_y=True)
        split = train_test_split(images, labels, test_size=0.5, random_state=seed, stratify=labels)
        self._training_images, self.test_images, training_labels, self.test_labels = split
        self._model = SVC(gamma=0.001).fit(self._training_images, training_labels)

    def sizes(self):
        return len(self._training_images), len(self.test_images)

    def predict(self, image):
        """The digit on one image, given as its 64 pixels."""
        return self._model.predict([image])[0]

    def predict_all(self, images):
        return self._model.predict(images)
