"""Jenkinsfiles that people write by hand."""

from __future__ import annotations

WRITE_UP = """\
pipeline {
    agent any
    environment {
        REVISION = sh(returnStdout: true, script: 'git rev-parse --short HEAD').trim()
        BOT_NAME = 'Butler'
        // OLD = 'x'
    }
    stages {
        stage('In Docker') {
            agent {
                dockerfile {
                    args "-v ${env.WORKSPACE}:/project -w /project -v /extras:/extras -e PYTHONPATH=/project"
                }
            }
            stages {
                stage('Tests') {
                    steps { sh 'pytest -vvrxXs' }
                }
                stage('Credentials') {
                    steps {
                        withCredentials(
                            [
                                usernamePassword(
                                    credentialsId: 'DVC_PASSWORD',
                                    passwordVariable: 'PASSWORD',
                                    usernameVariable: 'USER_NAME'),
                            ]
                        ) {
                            sh '''
                                dvc remote modify origin --local auth basic
                                dvc remote modify origin --local password $PASSWORD
                                dvc status -r origin
                            '''
                        }
                    }
                }
                stage('Update') {
                    when { changeRequest() }
                    steps {
                        sh '''
                            dvc pull -r jenkins_local || echo 'Some files are missing'
                            # cp -Rf . /extras
                            dvc repro -mP
                        '''
                    }
                }
                stage('Commit') {
                    when { changeRequest() }
                    steps {
                        withCredentials([usernamePassword(credentialsId: 'GIT_PAT', passwordVariable: 'T',
                                                          usernameVariable: 'U')]) {
                            sh '''
                                if ! git diff --exit-code; then
                                    git push https://$U:$T@example.org/x HEAD:$CHANGE_BRANCH
                                fi
                            '''
                        }
                        slackSend channel: '#ml', message: 'done'
                    }
                }
            }
        }
    }
}
"""

SCRIPTED = """\
@Library('ours') _
def image
node('gpu && linux') {
    checkout scm
    env.DATA_DIR = '/data/raw'
    stage('train') {
        docker.image("tensorflow/tensorflow:2.15.0-gpu").inside(
            '--gpus all -u root -v /data:/data:ro --ipc=host --shm-size 8g') {
            withEnv(['PYTHONPATH=src', "OUT=${env.WORKSPACE}/out", "BUILD=${BUILD_NUMBER}"]) {
                sh "pip install -r requirements.txt && python train.py"
                sh(script: './deploy.sh --all', returnStdout: true)
            }
        }
    }
    parallel a: { sh 'pytest' }, b: { sh 'make docs' }
}
"""
